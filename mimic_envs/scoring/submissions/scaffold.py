"""A new submission: scored, recorded, with its record and a README to fill in."""

from __future__ import annotations

import datetime
import json
import pathlib
import shutil
from collections.abc import Callable, Sequence

from mimic_envs import assembly, controllers, scoring
from mimic_envs import clips as clips_
from mimic_envs.env import Environment
from mimic_envs.scoring import experts, frozen, policies, results, schema, untrusted
from mimic_envs.scoring.recording import Rollouts, save_scores
from mimic_envs.scoring.submissions.submission import SCHEMA, SCHEMA_VERSION, Submission, slugify

_GIVEN = {
    "type": "object",
    "properties": {k: SCHEMA["properties"][k] for k in ("name", "authors", "licence", "summary")},
}
"""The part of the format that the one who makes a submission gives."""


def new(
    root: pathlib.Path,
    body: str,
    name: str,
    authors: Sequence[str],
    licence: str,
    controller: str = "",
    policy: pathlib.Path | None = None,
    trained_on: Sequence[str] = (),
    protocol: str = scoring.PROTOCOL,
    track: str = "generated",
    seeds: int = 1,
    agree: bool = False,
    summary: str = "",
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Submission:
    """Score a controller or a policy and write a submission of it.

    Args:
        root: Folder of submissions; the new one is `<protocol>/<body>/<date>-<name>` in it.
        body: Name of the body.
        name: What the leaderboard calls it.
        authors: Who made it.
        licence: Of the policy, a SPDX identifier, for example `MIT` or `CC-BY-4.0`.
        controller: Name of a controller of this package; or
        policy: folder of a trained policy, or of one for each clip in folders of the clips'
            names; for several training seeds in 0, 1, ...
        trained_on: Clip sets (names or files) that the policy was trained on.
        protocol: Name of the protocol.
        track: Its track.
        seeds: Runs of a controller.
        agree: Whether the authors agree with the rules, see the leaderboard's README.
        summary: What it is, in a sentence or two.
        progress: Called with control steps done and in total.

    Raises:
        ValueError: Both or neither of controller and policy, a name, author or licence that the
            leaderboard does not accept, or the folder exists.
    """
    _check_given(name, authors, licence, summary, controller, policy)
    rules = frozen.get(protocol)
    source = frozen.load_clips(rules, track, body)
    slug = f"{datetime.datetime.now(datetime.UTC):%Y%m%d}-{slugify(name)}"
    folder = root / protocol / body / slug
    if folder.exists():
        raise ValueError(f"{folder} exists already: choose another name or remove it")
    env = assembly.make(body, source, terminate=False, **scoring.STARTS.options)
    actors: list[scoring.Actor]
    if policy is None:
        actors = [controllers.make(controller, env)] * seeds
        weights: list[pathlib.Path] = []
    else:
        weights = policies.folders(policy)
        actors = [experts.load(one, env, name) for one in weights]
    hashes = [clips_.load(clips, body).content_hash for clips in trained_on]
    scored = scoring.score(
        env, actors, source, rules.clips(track, body).name, progress=progress, starts=scoring.STARTS
    )
    _write_run(folder, env, scored, weights)
    record = {
        "schema_version": SCHEMA_VERSION,
        "protocol": protocol,
        "track": track,
        "body": body,
        "slug": slug,
        "name": name,
        "summary": summary,
        "authors": list(authors),
        "licence": licence,
        "url": "",
        "kind": _kind(weights),
        "controller": controller,
        "seeds": len(actors),
        "clips_sha256": source.content_hash,
        "trained_on": hashes,
        "training": _training(weights),
        "versions": results.versions(),
        "files": Submission(folder, {}).hashes(),
        "agreement": agree,
    }
    (folder / "submission.json").write_text(json.dumps(record, indent=1) + "\n")
    (folder / "README.md").write_text(_readme(record, scored.score), encoding="utf-8")
    return Submission(folder, record)


def _check_given(
    name: str,
    authors: Sequence[str],
    licence: str,
    summary: str,
    controller: str,
    policy: pathlib.Path | None,
) -> None:
    """Raise ValueError for what would be refused later: scoring takes long."""
    if bool(controller) == (policy is not None):
        raise ValueError("give either a controller or the folder of a policy")
    given = {"name": name, "authors": list(authors), "licence": licence, "summary": summary or "-"}
    if wrong := list(schema.violations(given, _GIVEN)):
        raise ValueError("; ".join(wrong))
    if controller and name != controller:
        raise ValueError(f"the name of a controller's submission must be {controller!r}")


def _write_run(
    folder: pathlib.Path,
    env: Environment,
    scored: results.Results,
    weights: Sequence[pathlib.Path],
) -> None:
    """Write scores, rollouts and policies into the folder of a new submission."""
    (folder / "rollouts").mkdir(parents=True)
    scored.save(folder / "results.json")
    save_scores(folder / "results.npz", scored)
    Rollouts.of(env, scored).save(folder / "rollouts" / "rollouts.npz")
    for i, one in enumerate(weights):
        _copy_policies(one, folder / "policy" / (str(i) if len(weights) > 1 else ""))


def _training(weights: Sequence[pathlib.Path]) -> dict[str, object]:
    """The training of a submission, as far as the first seed's `training.json` tells it."""
    training: dict[str, object] = {
        "environment_steps": 0,
        "wall_clock_h": 0,
        "hardware": "",
        "parameters": _parameters(weights),
        "backend": "",
        "code": "",
        "command": "",
    }
    path = weights[0] / "training.json" if weights else None
    if path is None or not path.is_file():
        return training
    said = untrusted.read_json(path)
    for name, kinds in {"steps": (int,), "wall_time_s": (int, float), "backend": (str,)}.items():
        if not isinstance(said, dict) or not isinstance(said.get(name, kinds[0]()), kinds):
            raise ValueError(f"{path}: {name} must be of type {kinds[-1].__name__}")
    return training | {
        "environment_steps": said.get("steps", 0),
        "wall_clock_h": round(said.get("wall_time_s", 0) / 3600, 2),
        "backend": said.get("backend", ""),
    }


def _kind(weights: Sequence[pathlib.Path]) -> str:
    if not weights:
        return "controller"
    return "expert" if experts.clip_folders(weights[0]) else "generalist"


def _copy_policies(run: pathlib.Path, target: pathlib.Path) -> None:
    """Copy the files of the policies of one training seed, and nothing else that lies there."""
    for one in experts.clip_folders(run).values() or [run]:
        place = target / one.relative_to(run)
        place.mkdir(parents=True)
        for file in ("policy.json", "weights.safetensors", "model.onnx", "training.json"):
            if (one / file).is_file():
                shutil.copyfile(one / file, place / file)


def _parameters(weights: Sequence[pathlib.Path]) -> int:
    """Numbers in the weights of one training seed; 0 where they are in a graph."""
    from mimic_envs.scoring import safetensors

    paths = [path for run in weights[:1] for path in run.rglob("weights.safetensors")]
    return sum(x.size for p in paths if p.is_file() for x in safetensors.read(p).values())


def _readme(record: dict, score: float) -> str:
    what = f"--controller {record['controller']}" if record["controller"] else "--policy policy"
    protocol = frozen.get(record["protocol"])
    env_id = protocol.env_ids[record["body"]]
    clips = protocol.clips(record["track"], record["body"]).name
    notice = f"{protocol.notice} " if protocol.notice else ""
    return f"""# {record["name"]} ({record["body"]})

{record["summary"] or "What it is, in a paragraph."}

Score {score:.4f} by protocol {record["protocol"]}. {notice}To repeat it, from this folder:

```bash
mimic-envs score {env_id} {what} --clips {clips} --seeds {record["seeds"]}
```
"""
