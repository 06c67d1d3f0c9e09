"""Score what learns nothing in behavioral tasks: `python -m baselines.behavior_table`.

Three rows for each task and body, by the protocol `behavior-1-draft`, backend `native`:

| row | action term | action |
|---|---|---|
| `zero` | `torque` | zeros: no torque; half of the excitation where actuators are muscles |
| `random` | `torque` | uniform |
| `standing` | `posture` | zeros: the rest pose by PD control |

Each writes one record, `TASK-BODY-ROW.json`, into the folder of records, and at the end the page
is made of all records there. The same command goes on where it was stopped: a record is kept as
long as protocol, trials and starts are those of now. Results of policies cannot be handed in yet.
"""

from __future__ import annotations

import dataclasses
import json
import pathlib
import sys
import time
from collections.abc import Iterator
from typing import Any

import tyro

import mimic_envs
from baselines import terminal
from mimic_envs import assembly, bodies, controllers, scoring, tasks
from mimic_envs.command import as_command
from mimic_envs.env import Environment
from mimic_envs.files import atomically, check_folder
from mimic_envs.messages import unknown
from mimic_envs.scoring import behavior

DOCS = pathlib.Path(__file__).resolve().parents[1] / "docs"
ROWS = {"zero": ("torque", "zero"), "random": ("torque", "random"), "standing": ("posture", "zero")}
"""Action term and controller of each row."""
_KEPT = (
    *("protocol", "task", "body", "score", "score_worst_quarter", "starts", "trials"),
    *("success_rate", "success_ci95", "naturalness", "versions", "created", "wall_time_s"),
)
"""Parts of a result that a record keeps: no numbers of single trials."""

_BEGIN = """\
# Scores of what learns nothing

Floors of behavioral tasks by the protocol `behavior-1-draft`: mean score over all frames, trials
and 8 starts. `zero` is no torque (half of the excitation of muscles), `random` are random
torques, and `standing` holds the rest pose by PD control. No policy stands here: results of
policies cannot be handed in yet. [Scores](scoring.md#other-tasks) says what the columns mean.

```bash
python -m baselines.behavior_table --minutes 60
```

makes the records in `behavior_scores/` and this page, and goes on where it was stopped. One seed,
CPU, backend `native`. Success is of starts, with Wilson's 95 % interval over trials; transport is
the cost of transport by positive work, and in how many trials the animal travels.

| task | body | row | score | worst quarter | success | poses, deg | action rate, 1/s | transport |
|---|---|---|---|---|---|---|---|---|"""


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Arguments of the table: which tasks and bodies, and for how long."""

    tasks: tuple[str, ...] = ()
    """Names of tasks; all besides imitation if not given."""
    bodies: tuple[str, ...] = ()
    """Names of bodies; all that a task serves if not given."""
    rows: tuple[str, ...] = tuple(ROWS)
    """Rows: zero, random, standing."""
    minutes: float = 60.0
    """Begin no row after so many minutes."""
    records: pathlib.Path = DOCS / "behavior_scores"
    """Folder of the records."""
    page: pathlib.Path = DOCS / "behavior_scores.md"
    """The page."""
    report_only: bool = False
    """Make the page of the records that are there."""

    def __post_init__(self) -> None:
        known = tuple(name for name in tasks.names() if name != "imitation")
        for kind, names, accepted in (
            ("task", self.tasks, known),
            ("body", self.bodies, bodies.names()),
            ("row", self.rows, tuple(ROWS)),
        ):
            for name in names:
                if name not in accepted:
                    raise ValueError(unknown(kind, name, accepted))
        if not self.minutes > 0:
            raise ValueError(f"minutes must be positive, got {self.minutes}")

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Tasks and bodies that have ids, in the order of the ids."""
        return [
            (task, body)
            for body, task in mimic_envs.TASK_IDS.values()
            if task in (self.tasks or (task,)) and body in (self.bodies or (body,))
        ]


def environment(task: str, body: str, row: str) -> Environment:
    """The environment of a row, as it is scored."""
    action, _ = ROWS[row]
    options = scoring.STARTS.options
    return assembly.make(body, task=task, action=action, terminate=False, **options)


def current(path: pathlib.Path, env: Environment) -> bool:
    """Whether a record is there, and is of the protocol, trials and starts of now."""
    if not path.exists():
        return False
    record = json.loads(path.read_text())
    return (record["protocol"], record["trials"], record["starts"]) == (
        behavior.PROTOCOL,
        _trials(env),
        dataclasses.asdict(scoring.STARTS),
    )


def _trials(env: Environment) -> dict[str, Any]:
    command = env.task.command
    return {"count": len(command.trials), "sha256": behavior.conditions_hash(command)}


def scored(env: Environment, row: str) -> dict[str, Any]:
    """The record of a row."""
    actor = controllers.make(ROWS[row][1], env)
    result = scoring.score(env, actor, starts=scoring.STARTS).to_json()
    record = {name: result[name] for name in _KEPT if name in result}
    return record | {"row": row, "trials": _trials(env)}


def missing(arguments: Arguments) -> Iterator[tuple[pathlib.Path, Environment, str]]:
    """Place, environment and row of each record that is not there or no longer right."""
    for task, body in arguments.pairs:
        for row in arguments.rows:
            path, env = (
                arguments.records / f"{task}-{body}-{row}.json",
                environment(task, body, row),
            )
            if not current(path, env):
                yield path, env, row


def page(records: pathlib.Path) -> str:
    """The page of all records in a folder, as Markdown."""
    every = [json.loads(path.read_text()) for path in sorted(records.glob("*.json"))]
    done = {(r["task"], r["body"]) for r in every}
    left = [f"`{t}` {b}" for b, t in mimic_envs.TASK_IDS.values() if (t, b) not in done]
    lines = [
        *_BEGIN.split("\n"),
        *(_line(record) for record in every),
        "",
        f"Not measured yet: {', '.join(left)}." if left else "All tasks and bodies are measured.",
    ]
    return "\n".join(lines) + "\n"


def _line(record: dict[str, Any]) -> str:
    natural, success = record["naturalness"], "-"
    if "success_rate" in record:
        low, high = record["success_ci95"]
        success = f"{record['success_rate']:.0%} ({low:.0%} to {high:.0%})"
    poses, rate, cost = (
        natural[name] for name in ("pose_distance_deg", "action_rate_covered", "cost_of_transport")
    )
    transport = _number(cost["mean"], ".3g")
    if cost["defined"]:
        transport += f" ({cost['defined']} of {cost['of']})"
    cells = [
        *(f"`{record['task']}`", record["body"], record["row"], f"{record['score']:.3f}"),
        *(f"{record['score_worst_quarter']:.3f}", success, _number(poses["mean"], ".1f")),
        *(_number(rate["mean"], ".2f"), transport),
    ]
    return f"| {' | '.join(cells)} |"


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


@as_command
def main(argv: list[str] | None = None) -> int:
    """Do what the command line says; returns the exit status."""
    arguments = tyro.cli(Arguments, args=argv, prog="python -m baselines.behavior_table")
    console, began = terminal.console(), time.monotonic()
    check_folder(arguments.records)
    for path, env, row in () if arguments.report_only else missing(arguments):
        if time.monotonic() - began > 60 * arguments.minutes:
            terminal.say(console, "the time is over; the same command goes on")
            break
        record = scored(env, row)
        with atomically(path) as partial:
            partial.write_text(json.dumps(record, indent=1) + "\n")
        terminal.say(console, f"{path.stem}: {record['score']:.3f}, {record['wall_time_s']:.0f} s")
    with atomically(arguments.page) as partial:
        partial.write_text(page(arguments.records))
    terminal.say(console, f"wrote {arguments.page}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
