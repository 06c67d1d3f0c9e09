"""Write the pages that are made from the code: `python docs/generate.py`.

The page of an environment is made by `body_page.py`.

With `--pictures` also the pictures of the bodies.
"""

from __future__ import annotations

import pathlib
import sys

import recordings_page
from body_page import DOCS, environment_page, table

import mimic_envs
from mimic_envs import bodies
from mimic_envs import clips as clips_
from mimic_envs.clips import published, recorded

_COSTS = (
    "Costs are bounded shares of the tracking reward, so that a reward is never negative and an "
    "early end never pays; before, they were subtracted."
)
_CONES = (
    "Elliptic friction cones and sparse Jacobians: turning animal and clip about the vertical "
    "changes nothing. "
)
HISTORY = {
    "rodent": "Trunk, head and thighs lie on the floor after a fall. " + _CONES + "Built from a "
    "table, without dm_control. " + _COSTS + " `pd` on `generated/test`: 0.164 before, 0.162 now; "
    "physics at 0.91 of its speed.",
    "fly": "Trunk, head and femora lie on the floor after a fall. " + _CONES + "Built from a "
    "table, without dm_control and without meshes. " + _COSTS + " `pd` on `generated/test`: 0.636 "
    "before (0.611 if turned by 45 degrees), 0.555 now at every heading; `wbc`: 0.970 before, "
    "0.964 now; physics at 0.92 to 0.97 of its speed.",
    "stick_insect": "Trunk, head and femora lie on the floor after a fall. "
    + _CONES
    + _COSTS
    + " `pd` on `generated/test`: 0.934 before, 0.938 now; physics at 0.88 to 0.91 of its speed.",
    "mouse_arm": _COSTS + " Physics is as before.",
    "worm": _COSTS + " Physics is as before: its segments may pass through each other, since "
    "the recorded worms never cross themselves (bends of 0.3 rad a segment), and 276 pairs of "
    "segments would take several times as long as everything else.",
}
"""What each version of an environment changed, with its scores as interquartile means."""


def body_page(env_id: str, name: str) -> str:
    """The page of an environment of this package."""
    env = mimic_envs.make(name, clips="generated/tiny")
    return environment_page(env_id, env, {"v1": HISTORY[name], "v0": "First edition."})


def published_page() -> str:
    """The list of published recordings."""
    fetched = [
        [
            f"`{name}`",
            one.body,
            one.about,
            f"{one.format.fps:g} Hz, {one.format.unit}",
            f"{one.megabytes:g} MB",
            f"[{one.repo}]({one.page}), {one.folder}",
            one.citation,
        ]
        for name, one in published.PUBLISHED.items()
    ]
    by_hand = [[f"`{name}`", raw.about, raw.page] for name, raw in published.RAW.items()]
    benchmark = [
        [
            body,
            one.about,
            one.source,
            ", ".join(one.held_out) or f"all after {one.learned_s:g} s",
            one.weakness,
        ]
        for body, one in recorded.RECORDED.items()
    ]
    sections = [
        "# Published recordings",
        "<!-- made by docs/generate.py, do not edit -->",
        'Fetched by `mimic-envs clips fetch NAME`; then `clips="published/NAME"` loads them. The '
        "licence is what the dataset's page says at that time; `fetch` prints it and it stays in "
        "the clip file.",
        table(["name", "body", "what", "rate, unit", "download", "where", "cite"], fetched),
        "## To be got by hand",
        "Recordings that are keypoints, or that a person has to ask for.",
        table(["name", "what", "where"], by_hand),
        "## Recordings of the benchmark",
        "The track `recordings` scores parts of these that are held out. Put the files into "
        "`FOLDER/<body>/` and run `mimic-envs clips prepare FOLDER`; then "
        '`clips="recordings/train"` and `clips="recordings/test"` are the parts.',
        table(["body", "what", "where, and its revision", "held out", "weakness"], benchmark),
    ]
    return "\n\n".join(sections) + "\n"


def pages() -> dict[pathlib.Path, str]:
    """Every generated page: where it goes and what it says."""
    made = {
        DOCS / "bodies" / f"{name}.md": body_page(env_id, name)
        for env_id, name in mimic_envs.ENV_IDS.items()
    }
    return made | {
        DOCS / "published_clips.md": published_page(),
        DOCS / "recordings.md": recordings_page.page(),
    }


def draw_pictures() -> None:
    """Each body in the middle of its first held-out clip."""
    import matplotlib.pyplot as plt

    from mimic_envs.viz.render import Renderer

    for name in mimic_envs.ENV_IDS.values():
        body = bodies.get(name)
        renderer = Renderer(body, 480, 320, samples=4)
        clips = clips_.load("generated/test", body)
        picture = renderer.draw(clips.qpos[0, clips.lengths[0] // 2])
        renderer.close()
        plt.imsave(DOCS / "bodies" / f"{name}.png", picture)


if __name__ == "__main__":
    if "--pictures" in sys.argv[1:]:
        draw_pictures()
    for path, text in pages().items():
        path.write_text(text)
        print(path.relative_to(DOCS.parent))
