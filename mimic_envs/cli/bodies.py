"""`mimic-envs bodies`: models of users."""

from __future__ import annotations

import pathlib
import sys
from typing import TYPE_CHECKING, Annotated, Any

import tyro
from rich.markup import escape

from mimic_envs.cli.console import OUT, say
from mimic_envs.registry import is_outside

if TYPE_CHECKING:
    from mimic_envs import bodies
    from mimic_envs.body_check import Finding

Model = Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="MODEL")]

_MARKS = {
    "ok": "[green]ok[/green]     ",
    "warning": "[yellow]warning[/yellow]",
    "error": "[red]error[/red]  ",
}


def check(
    model: Model,
    name: str = "",
    root_body: str | None = None,
    tracked_bodies: tuple[str, ...] = (),
    end_effectors: tuple[str, ...] = (),
    tracked_joints: tuple[str, ...] = (),
    floor_height: float | None = None,
    body_length: float | None = None,
    feet: tuple[str, ...] = (),
    free_root: bool = False,
) -> None:
    """Say everything about a MuJoCo model that keeps it from being a body, and the defaults.

    Exit code 1 if there are errors.

    Args:
        model: MJCF file; or the name of a body, or module:name of one, which has all of what
            follows already.
        name: What the body shall be called; the file's name if not given.
        root_body: Body whose pose is the root pose.
        tracked_bodies: Bodies to compare with the reference.
        end_effectors: Bodies that touch the world or point at it.
        tracked_joints: Joints to compare with the reference.
        floor_height: Height of a floor to add, in length units.
        body_length: Length that errors are divided by, in length units.
        feet: Bodies that carry the animal's weight.
        free_root: Put a free joint in the place of slides and hinges that carry the root body.
    """
    from mimic_envs import bodies, body_check

    options = {
        "root_body": root_body,
        "tracked_bodies": tracked_bodies or None,
        "end_effectors": end_effectors or None,
        "tracked_joints": tracked_joints or None,
        "floor_height": floor_height,
        "body_length": body_length,
        "feet": feet or None,
        "free_root": free_root or None,
    }
    path = pathlib.Path(model)
    if path.is_file() or not (is_outside(model) or model in bodies.names()):
        given = {option: value for option, value in options.items() if value is not None}
        body = _report(*body_check.check(name or path.stem, path, **given))
        _say_how_to_register(body, path, options)
        return
    options["name"] = name or None
    extra = [option for option, value in options.items() if value is not None]
    if extra:
        raise ValueError(f"body {model!r} has its {extra[0]} already: leave out the option")
    _report(*body_check.check_body(bodies.get(model)))


def _report(body: bodies.Body | None, findings: list[Finding]) -> bodies.Body:
    """Print what was found; leave with exit code 1 if there are errors."""
    for found in findings:
        OUT.print(f"{_MARKS[found.level]} {escape(f'{found.subject}: {found.message}')}")
    if body is None or any(found.level == "error" for found in findings):
        sys.exit(1)
    OUT.print("\n[bold]As a body[/bold], where nothing else was given:")
    say("root body", body.root_body)
    say("tracked bodies", ", ".join(body.tracked_bodies))
    say("end effectors", ", ".join(body.end_effectors))
    say("tracked joints", f"{len(body.tracked_joints)} of {len(body.joint_names)}")
    say("body length", f"{body.body_length:.4g} {body.length_unit}")
    say("control step", f"{1000 * body.control_timestep_s:g} ms, {body.substeps} physics steps")
    return body


def _say_how_to_register(body: bodies.Body, path: pathlib.Path, options: dict[str, Any]) -> None:
    OUT.print("\nRegister it in Python:")
    given = [f"{body.name!r}", f"{str(path)!r}"]
    given += [f"{option}={value!r}" for option, value in options.items() if value is not None]
    OUT.print(escape(f"    mimic_envs.bodies.register({', '.join(given)})"), soft_wrap=True)
