"""`python -m leaderboard.build`: the pages, as static files without a server.

Only verified submissions are shown, with the numbers of the verification. The pages need
nothing from elsewhere; without JavaScript they lose sorting and filtering only.
"""

from __future__ import annotations

import pathlib
import shutil
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tyro

from leaderboard import data, ranking, verify
from leaderboard.judge import TIERS
from leaderboard.ranking import Entry
from mimic_envs import bodies as bodies_
from mimic_envs import extras
from mimic_envs.command import run_command
from mimic_envs.files import check_folder
from mimic_envs.scoring import PROTOCOL, frozen, statistics

HERE = pathlib.Path(__file__).parent
PICTURES = HERE.parent / "docs" / "bodies"
COLUMNS = {
    "score": "score",
    "root_aligned_score": "pose score",
    "coverage": "coverage",
    "joint_rmse_deg": "joints (deg)",
    "root_angle_deg": "root (deg)",
    "effort": "effort",
    "action_rate": "action rate (1/s)",
}
"""Metrics of the table of clips, and their titles."""
THRESHOLDS = np.linspace(0, 1, 101)
TRACKS = {"recordings": "", "generated": "generated/"}
"""Tracks that have pages, the main one first, and their folders."""


def build(
    out: pathlib.Path = HERE / "site",
    submissions: pathlib.Path = verify.SUBMISSIONS,
    verified: pathlib.Path = verify.VERIFIED,
    protocol: str = PROTOCOL,
    track: str = "",
) -> None:
    """Make the pages of a protocol.

    Args:
        out: Folder of the pages; what an earlier build wrote there is replaced.
        submissions: Folder of submissions.
        verified: Folder of reports.
        protocol: Name of the protocol.
        track: The only track; if empty, recordings, and generated clips in a folder of that name.
    """
    extras.require("pages", "jinja2")
    check_folder(out)
    entries, left_out = ranking.collect(submissions, verified)
    for text in left_out:
        print(f"left out: {text}")
    places = {track: ""} if track else TRACKS
    for name, place in places.items():
        chosen = [e for e in entries if e.task[:2] == (protocol, name)]
        back = "../" if place else ""
        others = {other: f"{back}{path}index.html" for other, path in places.items()}
        Site(out / place, frozen.get(protocol), name, chosen, others).write()
        print(f"wrote {out / place / 'index.html'}: {len(chosen)} entries")


class Site:
    """The pages of one protocol and track.

    Args:
        out: Their folder.
        protocol: The protocol.
        track: Its track.
        entries: What is shown, sorted.
        tracks: First pages of all tracks by name, relative to this one's.
    """

    def __init__(
        self,
        out: pathlib.Path,
        protocol: frozen.Protocol,
        track: str,
        entries: list[Entry],
        tracks: Mapping[str, str] | None = None,
    ) -> None:
        from leaderboard import svg  # the help must come without jinja2

        self.out, self.protocol, self.track, self.entries = out, protocol, track, entries
        self.bodies = sorted(protocol.test[track])
        self.tables = {
            body: rows
            for body in self.bodies
            if (rows := [e for e in entries if e.record["body"] == body])
        }
        self.pairs = ranking.comparisons(entries)
        self.pages = _templates()
        self.pages.globals.update(
            bodies=self.bodies,
            protocol=protocol,
            track=track,
            tracks=tracks or {track: "index.html"},
            tiers=TIERS,
            label=lambda body: body.replace("_", " "),
            date=data.date,
            draw_interval=svg.interval,
        )

    def write(self) -> None:
        """Write everything."""
        for folder in ("bodies", "clips", "submissions", "data", "pictures"):
            shutil.rmtree(self.out / folder, ignore_errors=True)
            (self.out / folder).mkdir(parents=True)
        for path in sorted((HERE / "static").iterdir()):
            shutil.copyfile(path, self.out / path.name)
        overall = ranking.overall(self.entries, self.bodies)
        self._page("index.html", "index.html", "index", tables=self.tables, overall=overall)
        self._page("about.html", "about.html", "about")
        self._page(
            "compare.html", "compare.html", "compare", tables=self.tables, data=self._compared()
        )
        for body in self.bodies:
            self._body(body)
            self._clips(body)
        for entry in self.entries:
            self._submission(entry)
        self._data(overall)

    def _page(self, template: str, path: str, here: str, **values: Any) -> None:
        up = "../" * path.count("/")
        text = self.pages.get_template(template).render(up=up, here=here, **values)
        (self.out / path).write_text(text, encoding="utf-8")

    def _body(self, name: str) -> None:
        rows = self.tables.get(name, [])
        clips, timestep_s = (
            self.protocol.clips(self.track, name),
            self.protocol.rules["control_timestep_s"][name],
        )
        clip_rows = []
        for i, (clip, steps) in enumerate(zip(clips.clips, clips.scored_frames, strict=True)):
            best = max(rows, key=lambda e: e.metrics["score"][:, i].mean(), default=None)
            score = best.metrics["score"][:, i].mean() if best else None
            row = {"name": clip, "steps": steps, "seconds": steps * timestep_s}
            clip_rows.append(row | {"best": best, "score": score})
        self._page(
            "body.html",
            f"bodies/{name}.html",
            name,
            rows=rows,
            clips=clips,
            clip_rows=clip_rows,
            pairs=self.pairs,
            env_id=self.protocol.env_ids[name],
            unit=bodies_.get(name).length_unit,
            picture=self._picture(name),
            profile=_profile(rows[:4]) if rows else "",
        )

    def _clips(self, body: str) -> None:
        """A page for each clip of a body that has entries, with the errors of all of them."""
        from leaderboard import svg

        rows, clips = self.tables.get(body, []), self.protocol.clips(self.track, body)
        cap = self.protocol.rules["cap_body_lengths"]
        for i, (name, steps) in enumerate(zip(clips.clips, clips.scored_frames, strict=True)):
            if not rows:
                return
            seconds = steps * self.protocol.rules["control_timestep_s"][body]
            best = sorted(rows, key=lambda e: -e.metrics["score"][:, i].mean())
            curves = [e.report.curves[i] for e in best]
            self._page(
                "clip.html",
                f"clips/{body}-{i}.html",
                body,
                name=name,
                seconds=seconds,
                rows=[(e, [e.metrics[key][:, i].mean() for key in COLUMNS]) for e in best],
                columns=COLUMNS,
                together=svg.errors(curves[:4], seconds, cap, f"clip {name}", large=True),
                apart=[
                    svg.errors([curve], seconds, cap, e.record["name"])
                    for e, curve in zip(best, curves, strict=True)
                ],
                before=f"{body}-{i - 1}.html" if i else "",
                after=f"{body}-{i + 1}.html" if i + 1 < len(clips.clips) else "",
            )

    def _picture(self, body: str) -> str:
        source = PICTURES / f"{body}.png"
        if not source.is_file():
            return ""
        shutil.copyfile(source, self.out / "pictures" / source.name)
        return f"pictures/{source.name}"

    def _submission(self, entry: Entry) -> None:
        from leaderboard import svg

        body = entry.record["body"]
        clips = self.protocol.clips(self.track, body)
        timestep_s = self.protocol.rules["control_timestep_s"][body]
        cap = self.protocol.rules["cap_body_lengths"]
        curves = [
            svg.errors([curve], steps * timestep_s, cap, f"clip {name}")
            for curve, steps, name in zip(
                entry.report.curves, clips.scored_frames, clips.clips, strict=True
            )
        ]
        if entry.video:
            shutil.copyfile(entry.video, self.out / "submissions" / f"{entry.page}.mp4")
        train = self.protocol.train[body]
        self._page(
            "submission.html",
            f"submissions/{entry.page}.html",
            body,
            e=entry,
            clips=clips,
            columns=COLUMNS,
            clip_rows=[
                (name, [entry.metrics[key][:, i].mean() for key in COLUMNS])
                for i, name in enumerate(clips.clips)
            ],
            profile=_profile([entry]),
            curves=curves,
            commands=self._commands(entry),
            known={train.sha256: f"{train.name} ({train.sha256})"},
            video=f"submissions/{entry.page}.mp4" if entry.video else "",
        )

    def _commands(self, entry: Entry) -> str:
        record = entry.record
        place = f"leaderboard/submissions/{self.protocol.name}/{record['body']}/{record['slug']}"
        what = f"--policy {place}/policy"
        if record["kind"] == "controller":
            what = f"--controller {record['controller']}"
        clips = self.protocol.clips(self.track, record["body"]).name
        env_id = self.protocol.env_ids[record["body"]]
        lines = [f"python -m leaderboard.verify {place}"]
        if record["kind"] == "controller" or any(f.startswith("policy/") for f in record["files"]):
            score = f"mimic-envs score {env_id} {what} --clips {clips}"
            lines.insert(0, f"{score} --seeds {record['seeds']}")
        return "\n".join(lines)

    def _compared(self) -> dict[str, Any]:
        entries = {
            e.page: {
                "name": e.record["name"],
                "body": e.record["body"],
                "score": round(e.score, 6),
                "clips": list(self.protocol.clips(self.track, e.record["body"]).clips),
                "scores": [round(float(x), 6) for x in e.metrics["score"].mean(axis=0)],
            }
            for e in self.entries
        }
        return {"entries": entries, "pairs": self.pairs}

    def _data(self, overall: Sequence[ranking.Overall]) -> None:
        """Everything as JSON and CSV."""
        out = self.out / "data"
        everything = {
            "protocol": self.protocol.name,
            "draft": self.protocol.draft,
            "track": self.track,
            "entries": [data.summary(e) for e in self.entries],
            "overall": [
                {
                    "name": one.name,
                    "authors": list(one.authors),
                    "score": one.score,
                    "interval": one.interval,
                    "rank": one.rank,
                    "mean_rank": one.mean_rank,
                    "entries": {body: e.page for body, e in one.entries.items()},
                }
                for one in overall
            ],
            "comparisons": self.pairs,
        }
        data.write_json(out / "leaderboard.json", everything)
        for e in self.entries:
            whole = {
                **data.summary(e),
                "record": e.record,
                "metrics": e.report.metrics,
                "curves": e.report.curves,
            }
            data.write_json(out / f"{e.page}.json", whole)
        data.write_csv(out / "leaderboard.csv", [data.flat(e) for e in self.entries])
        data.write_csv(out / "clips.csv", [row for e in self.entries for row in self._clip_rows(e)])

    def _clip_rows(self, entry: Entry) -> list[dict[str, Any]]:
        names = self.protocol.clips(self.track, entry.record["body"]).clips
        return [
            {
                "entry": entry.page,
                "seed": seed,
                "clip": name,
                **{key: values[seed][i] for key, values in entry.report.metrics.items()},
            }
            for seed in range(entry.record["seeds"])
            for i, name in enumerate(names)
        ]


def _templates() -> Any:
    import jinja2

    pages = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE / "templates"),
        autoescape=True,  # what submissions say is text, never markup
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    pages.filters["breakable"] = _breakable
    return pages


def _breakable(name: str) -> Any:
    """A name of a clip that may go on in the next line after an underscore."""
    import markupsafe

    return markupsafe.escape(name).replace("_", markupsafe.Markup("_<wbr>"))


def _profile(entries: Sequence[Entry]) -> Any:
    from leaderboard import svg

    lines = []
    for e in entries:
        scores = e.metrics["score"]
        values = statistics.performance_profile(scores, THRESHOLDS)
        band = statistics.profile_interval(scores, THRESHOLDS)
        lines.append((e.record["name"], values, band))
    return svg.profile(THRESHOLDS, lines)


if __name__ == "__main__":
    sys.exit(run_command(lambda: tyro.cli(build, prog="python -m leaderboard.build")))
