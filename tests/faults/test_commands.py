"""Wrong input to every command ends in one short message, and leaves nothing behind.

The cases follow from the commands' own definitions: every parameter of every command gets wrong
values of its kind, so a new command or option is attacked without anybody thinking of it.
"""

from __future__ import annotations

import dataclasses
import inspect
import pathlib
import typing
from collections.abc import Callable, Iterator
from typing import Any

import h5py
import numpy as np
import pytest
import tyro
from tyro.extras import SubcommandApp

from baselines import distill, plot, recordings, train, tune_balance
from leaderboard import build, draft, entries, verify
from mimic_envs import cli, command, rollouts
from mimic_envs import clips as clips_
from mimic_envs.clips.generators import __main__ as generators
from mimic_envs.rollouts import variables
from mimic_envs.stac.markers import Markers

BODY, ENV = "mouse_arm", "mimic_envs/MouseArm-v1"
LONGEST = 3_000
"""Characters of a message; what Tyro says of an option shows that option's help, too."""
MODEL = """<mujoco><worldbody><body name='trunk'><freejoint name='root'/><geom size='.05'/>
<body name='leg'><joint name='hip' axis='0 1 0' range='-60 60' damping='.02'/>
<geom type='capsule' size='.01' fromto='0 0 0 0 .02 -.1'/></body></body></worldbody>
<actuator><motor name='hip' joint='hip' gear='.2' ctrlrange='-1 1'/></actuator></mujoco>"""

RIGHT = {
    ("", "authors"): ["nobody"],
    ("", "body"): [BODY],
    ("", "clips"): ["clips.h5"],
    ("", "env_id"): [ENV],
    ("", "fps"): ["200"],
    ("", "name"): ["nothing"],
    ("", "unit"): ["m"],
    ("bodies check", "model"): ["model.xml"],
    ("clips export", "out"): ["out.npz"],
    ("clips fetch", "name"): ["rodent"],
    ("clips generate", "out"): ["out"],
    ("clips import", "path"): ["table.csv"],
    ("clips plot", "out"): ["out.png"],
    ("clips rename", "names"): ["tiny_reach=other"],
    ("clips split", "out"): ["out.json"],
    ("leaderboard new", "controller"): ["zero"],
    ("leaderboard new", "out"): ["out"],
    ("leaderboard new", "track"): ["practice"],
    ("leaderboard validate", "path"): ["."],
    ("leaderboard.build", "out"): ["out"],
    ("leaderboard.entries", "only"): [BODY],
    ("leaderboard.entries", "out"): ["out"],
    ("leaderboard.entries", "track"): ["practice"],
    ("leaderboard.verify", "paths"): ["none"],
    ("leaderboard.verify", "verified"): ["out"],
    ("nwb", "out"): ["out.nwb"],
    ("nwb", "recording"): ["r.nc"],
    ("play", "clips"): ["generated/tiny"],
    ("play", "out"): ["out.mp4"],
    ("analyse", "out"): ["out"],
    ("analyse", "recordings"): ["r.nc"],
    ("experiment", "clips"): ["generated/tiny"],
    ("experiment", "out"): ["out.nc"],
    ("experiment", "table"): ["table.json"],
    ("record", "clips"): ["generated/tiny"],
    ("record", "out"): ["out.nc"],
    ("score", "clips"): ["generated/tiny"],
    ("score", "out"): ["out.json"],
    ("view", "out"): ["out"],
    ("view", "source"): ["r.nc"],
    ("stac fit", "fps"): ["200"],
    ("stac fit", "out"): ["out.h5"],
    ("stac fit", "path"): ["points.npz"],
    ("stac fit", "unit"): ["m"],
}
"""Right values by command, or for all commands, and parameter."""

WRONG = {
    ("", "animal"): ["1", "-1"],
    ("", "body"): ["mouse_arn", "nosuchmodule:body", "\x1b[31m"],
    ("", "body_length"): ["0", "-1", "nan", "inf"],
    ("", "clip"): ["99", "-1", "moonwalk"],
    ("", "clip_frames"): ["0", "-5"],
    ("", "clips"): ["generated/nothing", "none.h5", "broken.h5", ".", "huge.h5"],
    ("", "controller"): ["pid", "nosuchmodule:pd", "os:getcwd"],
    ("", "dataset"): ["nothing"],
    ("", "env_id"): ["mimic_envs/MouseAm-v1", "nosuchmodule:id", "a:b:c", "", "n" * 9_000],
    ("", "floor_height"): ["nan", "inf"],
    ("", "fps"): ["0", "-1", "nan", "inf", "1e300", "1e12", "1e-9"],
    ("", "frames_per_clip"): ["0", "-1", "7"],
    ("", "height"): ["0", "-2", "3", "1000000"],
    ("", "layout"): ["nothing", "nosuchmodule:read", "os:getcwd"],
    ("", "floor"): ["level", ""],
    ("", "mapping"): ["none.csv", "broken.h5", "table.csv", "."],
    ("", "max_gap_s"): ["-1", "nan"],
    ("", "up"): ["w", ""],
    ("", "like"): ["none.h5", "clips.h5", "broken.h5"],
    ("", "model"): ["none.xml", "nosuchmodule:body", ".", "mouse_arn"],
    ("", "names"): ["none.txt", "broken.h5", "."],
    ("", "only"): ["mouse_arn"],
    ("", "path"): ["none.csv", "broken.h5", "none/none.h5"],
    ("", "policy"): ["none", ".", "broken.h5"],
    ("", "protocol"): ["mimic-9", "../mimic-2-draft", ""],
    ("", "reader"): ["nothing", "nosuchmodule:read", "os:getcwd"],
    ("", "rename"): ["a", "a=b=c", "nothing=else"],
    ("", "report"): ["out.xyz", "."],
    ("", "scale"): ["0", "-1", "nan", "inf", "1e300"],
    ("experiment", "seed"): ["-1"],
    ("record", "rollouts"): ["none.npz", "broken.h5", ".", "points.npz"],
    ("record", "seed"): ["-1"],
    ("", "seeds"): ["0", "-1"],
    ("", "session"): ["(", "none", "x(y)"],
    ("", "split"): ["tests", ""],
    ("", "start_s"): ["-1", "nan", "inf", "1e300"],
    ("", "stop_s"): ["-1", "0", "nan"],
    ("", "task"): ["imitatoin", "nosuchmodule:task", "os"],
    ("", "test"): ["0", "1", "-1", "nan", "1e300"],
    ("", "threads"): ["-1"],
    ("", "trials"): ["tiny_reech"],
    ("", "trained_on"): ["generated/nothing", "none.h5"],
    ("", "unit"): ["furlong", ""],
    ("", "video"): ["out.gif", "."],
    ("", "width"): ["0", "-2", "3", "1000000"],
    ("", "what"): ["kinematiks", "state,nothing", ""],
    ("analyse", "only"): ["decodin", "nosuchmodule:f"],
    ("analyse", "recordings"): ["none.nc", "broken.h5", ".", "clips.h5"],
    ("clips fetch", "name"): ["rodnt", ""],
    ("experiment", "table"): ["none.json", "broken.h5", ".", "wrong.json"],
    ("clips rename", "names"): ["a", "a=b=c", "nothing=else"],
    ("generators", "names"): ["mouse_arn"],
    ("nwb", "recording"): ["none.nc", "broken.h5", ".", "clips.h5"],
    ("view", "env"): ["mimic_envs/MouseAm-v1", "nosuchmodule:id", "a:b:c", ""],
    ("view", "every"): ["0", "-1"],
    ("view", "seed"): ["-1", "0"],
    ("view", "source"): ["none.nc", "broken.nc", ".", "none.h5", "broken.h5", "generated/test"],
    ("leaderboard new", "track"): ["nothing"],
    ("leaderboard.verify", "paths"): [],
}
"""Wrong values by command, or for all commands, and parameter."""
FOLDERS = {
    "analyse",
    "clips generate",
    "leaderboard new",
    "leaderboard.build",
    "leaderboard.entries",
    "view",
}
"""Commands whose `--out` is a folder; the others' name of a file says what it is."""
NOWHERE = ("model.xml/x", "/proc/none/x")
"""Where nothing can be written, not even by root."""


@dataclasses.dataclass(frozen=True)
class Command:
    """A command as it is defined.

    Attributes:
        name: Its words.
        function: What it calls.
        main: Runs it with words of the command line.
        start: The words that come first.
    """

    name: str
    function: Callable[..., Any]
    main: Callable[[list[str]], int | None]
    start: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Case:
    """A command line that is wrong in one place."""

    command: Command
    words: tuple[str, ...]

    def __str__(self) -> str:
        return " ".join(word[:40] for word in (self.command.name, *self.words))


def leaves(app: SubcommandApp, path: tuple[str, ...] = ()) -> Iterator[Command]:
    """All commands of an app, those of its groups included."""
    for name, one in app._subcommands.items():
        if isinstance(one.target, SubcommandApp):
            yield from leaves(one.target, (*path, name))
        else:
            yield Command(" ".join((*path, name)), one.target, cli.main, (*path, name))


def program(name: str, function: Callable[..., Any]) -> Command:
    """A function that is run by `python -m`."""

    def main(words: list[str]) -> int:
        return command.run_command(lambda: tyro.cli(function, args=words))

    return Command(name, function, main)


COMMANDS = [
    *leaves(cli._APP),
    Command("generators", generators.write, generators.main),
    program("leaderboard.build", build.build),
    program("leaderboard.draft", draft.refresh),
    program("leaderboard.entries", entries.make),
    program("leaderboard.verify", verify.verify),
]
TRAINERS = [
    Command("baselines.train", train.Arguments, train.main),
    Command("baselines.distill", distill.Arguments, distill.main),
    Command("baselines.recordings", recordings.Publish, recordings.main),
    program("baselines.plot", plot.Arguments),
    Command("baselines.tune_balance", tune_balance.Arguments, tune_balance.main),
]


@dataclasses.dataclass(frozen=True)
class Parameter:
    """A parameter of a command."""

    name: str
    types: frozenset[type]
    positional: bool
    needed: bool

    def words(self, *values: str) -> list[str]:
        """Words of a command line that give it these values."""
        option = "--" + self.name.replace("_", "-")
        if self.positional:
            return list(values)
        return [f"{option}={values[0]}"] if len(values) == 1 else [option, *values]


def parameters(function: Callable[..., Any]) -> list[Parameter]:
    """All parameters of a command, of nested dataclasses too."""
    hints = typing.get_type_hints(function, include_extras=True)
    if dataclasses.is_dataclass(function):
        fields = dataclasses.fields(function)
        missing = dataclasses.MISSING
        needed = {f.name: f.default is missing and f.default_factory is missing for f in fields}
    else:
        signature = inspect.signature(function).parameters
        needed = {p.name: p.default is p.empty for p in signature.values()}
    found = []
    for name in needed:
        types = plain_types(hints[name])
        nested = [t for t in types if dataclasses.is_dataclass(t)]
        for inner in nested:
            found += [
                dataclasses.replace(p, name=f"{name}.{p.name}", needed=False)
                for p in parameters(inner)
            ]
        if not nested:
            positional = "Positional" in str(hints[name])
            found.append(Parameter(name, types, positional, needed[name]))
    return found


def plain_types(annotation: Any) -> frozenset[Any]:
    """The types in an annotation such as `tuple[int, ...] | None`."""
    if typing.get_origin(annotation) is typing.Annotated:
        return plain_types(typing.get_args(annotation)[0])
    if typing.get_origin(annotation) is typing.Literal:
        return frozenset({typing.Literal})
    parts = [part for part in typing.get_args(annotation) if part is not Ellipsis]
    return frozenset().union(*map(plain_types, parts)) if parts else frozenset({annotation})


def right_values(one: Command, parameter: Parameter) -> list[str]:
    """Values of a parameter in a right command line; none if it is left out."""
    special = RIGHT.get((one.name, parameter.name))
    if special is not None or not parameter.needed:
        return special or []
    if parameter.name == "out":
        return ["out.h5"]
    return RIGHT.get(("", parameter.name), ["x"])


def unreadable(parameter: Parameter) -> list[str]:
    """Texts that are no value of its type."""
    if bool in parameter.types:
        return ["maybe"]
    if str in parameter.types or pathlib.Path in parameter.types:
        return []
    if typing.Literal in parameter.types:
        return ["nothing"]
    return ["x", "", *([] if float in parameter.types else ["1.5"])]


def wrong_values(one: Command, parameter: Parameter) -> list[str]:
    """Wrong values of a parameter."""
    name = parameter.name
    values = list(WRONG.get((one.name, name), WRONG.get(("", name), [])))
    if name in ("out", "report", "video"):
        ending = {"report": ".html", "video": ".mp4"}.get(name, "")
        if name == "out" and one.name not in FOLDERS:
            ending = pathlib.PurePath(*right_values(one, parameter) or ["out.h5"]).suffix
            values += ["out.xyz", "."]
        values += [place + ending for place in NOWHERE]
    return values + unreadable(parameter)


def cases_of(one: Command, wrong: Callable[[Command, Parameter], list[str]]) -> Iterator[Case]:
    """One command with each parameter wrong in turn, or missing, and with words too many."""
    known = parameters(one.function)
    right = {p.name: p.words(*v) for p in known if (v := right_values(one, p))}

    def case(*more: str, without: str = "", **changed: list[str]) -> Case:
        words = {p.name: right.get(p.name, []) for p in known if p.name != without} | changed
        return Case(one, tuple(word for part in words.values() for word in part) + more)

    yield case("--no-such-option", "1")
    for parameter in known:
        if parameter.needed:
            yield case(without=parameter.name)
        for value in wrong(one, parameter):
            # of these two, one must be given
            without = "controller" if parameter.name == "policy" else ""
            yield case(without=without, **{parameter.name: parameter.words(value)})


GROUPS = sorted({" ".join(one.start[:-1]) for one in COMMANDS})
CASES = [
    *(case for one in COMMANDS for case in cases_of(one, wrong_values)),
    *(case for one in TRAINERS for case in cases_of(one, lambda _, p: unreadable(p))),
    *(
        Case(Command(group, cli.main, cli.main, tuple(group.split())), words)
        for group in GROUPS
        for words in ((), ("nothing",), ("--nothing",))
    ),
]


def recorded() -> Any:
    """The smallest dataset that is one."""
    import xarray

    attributes = {"format": variables.FORMAT, "format_version": variables.VERSION, "body": BODY}
    return xarray.Dataset({"trial": ("time", [0]), "steps": ("trials", [1])}, attrs=attributes)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A folder with right inputs and broken ones."""
    folder = tmp_path_factory.mktemp("files")
    clips = clips_.load("generated/tiny", BODY)
    clips.save(folder / "clips.h5")
    clips_.export_clips(clips, folder / "table.csv")
    names = list(clips.body.keypoints)
    places = list(clips.body.keypoints.values())
    markers = Markers(clips.body.model, [place.body for place in places], capacity=12)
    poses = markers.frames(clips.motions()[0][:12].astype(float))
    points = poses.points(np.array([place.offset for place in places]))
    np.savez(folder / "points.npz", positions=points, names=names)
    (folder / "model.xml").write_text(MODEL)
    (folder / "table.json").write_text('[{"what": "push", "size": [0.1]}]')
    (folder / "wrong.json").write_text('[{"what": "pusch"}]')
    rollouts.save(recorded(), folder / "r.nc")
    (folder / "broken.h5").write_bytes(b"\x89HDF\r\n\x1a\n no")
    clips.save(folder / "huge.h5")
    with h5py.File(folder / "huge.h5", "r+") as file:
        del file["qpos"]
        file.create_dataset("qpos", (10**12, clips.qpos.shape[2]), "f4", chunks=(1000, 1))
    return folder


@pytest.mark.skipif(not pathlib.Path("/proc/self").is_dir(), reason="needs Linux's /proc")
@pytest.mark.parametrize(
    "one",
    [c for c in COMMANDS if c.name in ("score", "play", "clips plot", "stac fit")],
    ids=lambda c: c.name,
)
def test_a_folder_that_cannot_be_written_is_noticed_before_the_work(
    one: Command,
    folder: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    right = [p.words(*v) for p in parameters(one.function) if (v := right_values(one, p))]
    words = [w.replace("clips.h5", str(folder / "clips.h5")) for part in right for w in part]
    words = [w.replace("points.npz", str(folder / "points.npz")) for w in words]
    monkeypatch.chdir("/proc")  # where not even root can write
    with pytest.raises(SystemExit) as stop:
        one.main([*one.start, *(w for w in words if not w.startswith("--out"))])
    assert stop.value.code == command.WRONG_INPUT
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert "nothing can be written here" in err


def test_enough_cases_are_generated() -> None:
    assert len(CASES) >= 400
    assert {case.command.name for case in CASES} > {one.name for one in COMMANDS + TRAINERS}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_wrong_input_ends_in_one_message(
    case: Case,
    folder: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(folder)
    before = sorted(folder.rglob("*"))
    try:
        code = case.command.main([*case.command.start, *case.words])
    except SystemExit as stop:
        code = stop.code
    out, err = capsys.readouterr()
    assert code == command.WRONG_INPUT, out + err
    assert "Traceback" not in out + err
    assert len(err) <= LONGEST
    assert "\x1b" not in err
    ours = err.startswith("error: ") and err.count("\n") == 1
    assert ours or err.count("For full helptext") == 1, err  # or one box of Tyro's
    assert sorted(folder.rglob("*")) == before
