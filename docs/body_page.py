"""The page of an environment: its body, and the rows of its task.

Everything about the task comes from `env.task`: meanings are the docstrings of the rows'
functions, in which "length units" becomes the unit of the body.
"""

from __future__ import annotations

import inspect
import pathlib
import re
import sys
from collections.abc import Iterable

import mujoco
import numpy as np

from mimic_envs import bodies
from mimic_envs import clips as clips_
from mimic_envs.env import Environment
from mimic_envs.mdp import Cost, Termination
from mimic_envs.mdp.command import Command
from mimic_envs.tasks.following import Clips

DOCS = pathlib.Path(__file__).parent
_LETTERS = {
    "H": "joints besides the root",
    "J": "tracked joints",
    "B": "tracked bodies",
    "E": "end effectors",
    "K": "reference frames",
    "nu": "actuators",
    "na": "actuators with an activation",
}
"""Meaning of the letters in docstrings, which stand for counts."""


def table(header: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """A Markdown table."""
    lines = [list(header), *([str(cell) for cell in row] for row in rows)]
    lines.insert(1, ["---"] * len(lines[0]))
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def meaning(thing: object, length_unit: str = "length units") -> str:
    """The first paragraph of a docstring, on one line, for a cell of a table.

    Args:
        thing: A function, a `functools.partial` of one, or an object of a documented class.
        length_unit: What to write for "length units".
    """
    text = inspect.getdoc(getattr(thing, "func", thing)) or "(no docstring)"
    text = " ".join(text.split("\n\n")[0].split()).rstrip(".")
    text = re.sub(r"\blength units?\b", length_unit, text)
    return text.replace("|", "\\|")


def environment_page(title: str, env: Environment, history: dict[str, str] | None = None) -> str:
    """The documentation page of an environment.

    Args:
        title: Its headline, for example the environment's id.
        env: The environment, of any body and any task.
        history: What each version changed, the newest first.
    """
    body = env.body
    picture = f"![{body.name}]({body.name}.png)"
    has_picture = (DOCS / "bodies" / f"{body.name}.png").exists()
    parts = [
        f"# {title}",
        f"*{body.species}*. {body.source}." if body.species else "",
        "<!-- made by docs/generate.py, do not edit -->",
        picture if has_picture else "",
        _about(body),
        _sizes(body),
    ]
    sections: dict[str, str] = {
        "Task": _task(env),
        "Actions": _actions(env),
        "Observation": _observation(env),
        "Reward": _reward(env),
        "End of an episode": _ends(env),
        "Metrics": _metrics(env),
        "Events": _events(env),
        "Tracked parts": _parts(body),
        "Joints": _joints(body),
        "Generated clips": _clips(body) if _follows_clips(env) else "",
        "Solid parts, feet, sensors and cameras": _equipment(body),
        "Version history": _history(history or {}),
    }
    parts += [f"## {name}\n\n{text}" for name, text in sections.items() if text]
    return "\n\n".join(part for part in parts if part) + "\n"


def _history(history: dict[str, str]) -> str:
    return table(("version", "what changed"), history.items()) if history else ""


def _follows_clips(env: Environment) -> bool:
    return isinstance(env.task.command, Clips)


# The task


def _task(env: Environment) -> str:
    command = env.task.command
    chosen = ", ".join(f"`{name}`" for name in command.conditions) or "nothing"
    return (
        f"`{env.task.name}`: {meaning(command, env.body.length_unit)}. `reset` can choose "
        f"{chosen}. Rows of all tables can be changed by keyword, see [tasks](../tasks.md)."
    )


def _actions(env: Environment) -> str:
    term = env.task.action
    return (
        f"`Box(-1, 1, ({term.size},), float32)`. Action term `{term.name}`: {meaning(term)}. "
        "A control of -1 to 1 is mapped linearly to the actuator's control range.\n\n"
        + _actuators(env.body)
    )


def _observation(env: Environment) -> str:
    unit, layout, rows = env.body.length_unit, env.observation_layout(), []
    for name, (where, shape, bound) in layout.items():
        group, own = name.split("/", 1)
        row = env.task.observations[group][own]
        text = meaning(row.function, unit)
        if row.noise:
            text += f"; noise with a standard deviation of {row.noise:g}"
        entries = f"{where.start} to {where.stop - 1}"
        rows.append((entries, f"`{name}`", shape, f"{bound:.4g}", text))
    size = list(layout.values())[-1][0].stop
    letters = ", ".join(
        f"{letter} {what}" for letter, what in _LETTERS.items() if _is_used(letter, rows)
    )
    parts = [
        f"Flat `Box`, {size} float32. Proprioception is in the frame of the root body. Values "
        "are clipped to plus and minus their bound.",
        table(("entries", "name", "shape", "bound", "meaning"), rows),
        f"Letters: {letters}." if letters else "",
    ]
    if isinstance(env.task.command, Clips):
        times = 1000 * env.body.control_timestep_s * np.asarray(env.task.command.offsets)
        ahead = ", ".join(f"{time:g}" for time in times)
        text = f"The reference frames are {ahead} ms ahead, and in the frame of the root body too."
        if env.task.at.root_motion.moves:
            text += (
                " So nothing changes when the animal and its reference are moved along the floor "
                "or turned about the vertical together."
            )
        parts.append(text)
    return "\n\n".join(part for part in parts if part)


def _is_used(letter: str, rows: list[tuple[object, ...]]) -> bool:
    shapes = " ".join(" ".join(re.findall(r"\([^()]*\)", str(row[-1]))) for row in rows)
    return re.search(rf"\b{letter}\b", shapes) is not None


def _reward(env: Environment) -> str:
    unit, rows = env.body.length_unit, []
    for name, row in env.task.rewards.items():
        text = meaning(row.function, unit)
        if isinstance(row, Cost):
            rows.append((f"`{name}`", f"-{row.weight:g} of the sum", "", text))
        else:
            sigma = "" if row.sigma is None else f"{row.sigma:g}"
            rows.append((f"`{name}`", f"{row.weight:g}", sigma, text))
    head = ("term", "weight", "sigma, in the unit of f", "f")
    return (
        "The sum of these terms: `weight * exp(-f**2 / (2 sigma**2))` where there is a sigma, "
        "else `weight * f`. A cost takes away the share `weight * f` of the sum of the others. "
        "A diverged step is worth 0.\n\n" + table(head, rows)
    )


def _ends(env: Environment) -> str:
    unit = env.body.length_unit
    rows = [
        (f"`{name}`", _limit(row), meaning(row.function, unit))
        for name, row in env.task.terminations.items()
    ]
    text = "Terminated, that is failed, whenever the simulation diverges"
    if rows:
        head = ("limit", "fails when f is", "f")
        text += f", and by these limits:\n\n{table(head, rows)}\n\n"
        text += (
            "`terminate=False` turns the limits off, not the check for divergence. "
            if env.settings.terminate
            else "Here `terminate=False` has turned the limits off. "
        )
    else:
        text += ". "
    return text + _truncation(env)


def _limit(row: Termination) -> str:
    if row.limit is None:
        return "true"
    if isinstance(row.limit, tuple):
        return f"outside {row.limit[0]:.4g} to {row.limit[1]:.4g}"
    return f"above {row.limit:.4g}"


def _truncation(env: Environment) -> str:
    ends, command = [], env.task.command
    if isinstance(command, Clips):
        ends += ["at the clip's last frame"] if command.end == "truncate" else []
    elif type(env.task.command).over is not Command.over:
        ends.append("when the task is over")
    if env.settings.limit is not None:
        ends.append(f"after {env.settings.limit} control steps")
    text = f"Truncated {' or '.join(ends)}." if ends else "Never truncated."
    if isinstance(command, Clips) and command.end == "fail":
        text += " Terminated at the clip's last frame."
    return text


def _metrics(env: Environment) -> str:
    unit, task = env.body.length_unit, env.task
    rows = [
        ("`score`", meaning(task.score, unit)),
        *((f"`{name}`", meaning(row.function, unit)) for name, row in task.metrics.items()),
        ("`reward/<term>`", "What each term of the reward adds, or takes away"),
        ("`limit/<limit>`", "1 where the limit is crossed, else 0"),
        ("`diverged`", "1 where the simulation has diverged, else 0"),
    ]
    return "In `info`, and in `State.metrics`, at every step.\n\n" + table(
        ("name", "meaning"), rows
    )


def _events(env: Environment) -> str:
    rows = [(f"`{name}`", f"`{row}`", meaning(row)) for name, row in env.task.events.items()]
    return table(("event", "settings", "meaning"), rows) if rows else ""


# The body


def _about(body: bodies.Body) -> str:
    """Docstring of the body's module, without the headline."""
    name = getattr(body.build_spec, "__module__", "")
    if not name.startswith("mimic_envs.bodies.") or name == "mimic_envs.bodies.custom":
        return ""
    return (sys.modules[name].__doc__ or "").partition("\n")[2].strip()


def _sizes(body: bodies.Body) -> str:
    model = body.model
    return table(
        ("quantity", "value"),
        [
            ("degrees of freedom", model.nv),
            ("joints besides the root", len(body.hinge_names)),
            ("actuators", model.nu),
            ("mass", f"{model.body_mass.sum():.4g} (in the model's mass unit)"),
            ("length unit", body.length_unit),
            ("body length (errors are divided by it)", f"{body.body_length:g}"),
            ("physics step", f"{1000 * model.opt.timestep:g} ms"),
            ("control step", f"{1000 * body.control_timestep_s:g} ms"),
        ],
    )


def _actuators(body: bodies.Body) -> str:
    model, rows = body.model, []
    for i, name in enumerate(body.actuator_names):
        low, high = model.actuator_ctrlrange[i]
        muscle = model.actuator_gaintype[i] == mujoco.mjtGain.mjGAIN_MUSCLE
        # of a muscle the first gain parameter is a length, the third its peak force
        strength = model.actuator_gainprm[i, 2 if muscle else 0] * model.actuator_gear[i, 0]
        rows.append(
            (
                i,
                name,
                _target(model, i),
                f"[{low:g}, {high:g}]",
                f"{strength:.4g}",
                f"{1000 * model.actuator_dynprm[i, 0]:g}" if model.actuator_dyntype[i] else "-",
            )
        )
    head = ("index", "actuator", "acts on", "control range", "gear x gain", "time constant (ms)")
    return table(head, rows)


def _target(model: mujoco.MjModel, i: int) -> str:
    """Kind and name of what an actuator acts on."""
    kind = mujoco.mjtTrn(int(model.actuator_trntype[i])).name.removeprefix("mjTRN_").lower()
    objects = {"joint": model.joint, "jointinparent": model.joint, "tendon": model.tendon}
    objects |= {"site": model.site, "slidercrank": model.site, "body": model.body}
    return f"{kind} {objects[kind](int(model.actuator_trnid[i, 0])).name}"


def _parts(body: bodies.Body) -> str:
    listed = {
        "root body": (body.root_body,),
        "tracked bodies": body.tracked_bodies,
        "end effectors": body.end_effectors,
        "tracked joints": body.tracked_joints,
        "keypoints": tuple(body.keypoints),
    }
    return table(
        ("what", "number", "names"), [(k, len(v), ", ".join(v)) for k, v in listed.items()]
    )


def _equipment(body: bodies.Body) -> str:
    model = body.model
    solid = [model.geom(g).name for g in range(model.ngeom)]
    listed = {
        "feet": body.feet,
        "other parts that touch the floor": [n[6:] for n in solid if n.startswith("solid_")],
        "sensors": [model.sensor(i).name for i in range(model.nsensor)],
        "cameras": body.camera_names,
        **{f"gait group {name}": group for name, group in body.gait_groups.items()},
        **{f"muscle group {name}": group for name, group in body.muscle_groups.items()},
    }
    rows = [(what, ", ".join(names)) for what, names in listed.items() if names]
    cone = mujoco.mjtCone(model.opt.cone).name.removeprefix("mjCONE_").lower()
    return (
        f"Friction cone: {cone}. Sensors are in the model but disabled in environments, since "
        "they take time at every physics step.\n\n" + table(("what", "names"), rows)
    )


def _joints(body: bodies.Body) -> str:
    model, rows = body.model, []
    for name in body.hinge_names:
        joint = model.joint(name)
        slide = model.jnt_type[joint.id] == mujoco.mjtJoint.mjJNT_SLIDE
        low, high = joint.range if slide else np.rad2deg(joint.range)
        limits = f"{low:g} to {high:g} {body.length_unit}" if slide else f"{low:.1f} to {high:.1f}"
        rows.append(
            (
                name,
                limits,
                f"{np.ravel(joint.stiffness)[0]:g}",
                f"{np.ravel(joint.damping)[0]:g}",
                "yes" if name in body.tracked_joints else "",
            )
        )
    return table(("joint", "range (degrees)", "stiffness", "damping", "tracked"), rows)


def _clips(body: bodies.Body) -> str:
    rows = []
    for name in clips_.generated_sets(body):
        clips = clips_.load(name, body)
        labels = ", ".join(f"{clips.labels.count(k)} {k}" for k in sorted(set(clips.labels)))
        rows.append(
            (
                f"`{name}`",
                len(clips),
                f"{clips.duration_s:g} s",
                f"{clips.fps:g} Hz",
                labels,
                f"`{clips.content_hash[:16]}`",
            )
        )
    head = ("set", "clips", "duration", "rate", "labels", "SHA-256 begins")
    return table(head, rows) if rows else ""
