"""Every registry accepts entries from outside as `module:name`, in Python and in every command."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
from collections import OrderedDict
from collections.abc import Callable

import mujoco
import numpy as np
import pytest

import mimic_envs
from mimic_envs import bodies, cli, stac
from mimic_envs import clips as clips_
from mimic_envs.registry import resolve

TABLE = {"ordered": "collections:OrderedDict", "seven": 7}

LAB = '''
import mujoco
import numpy as np
from mimic_envs import bodies
from mimic_envs.clips.importers import Recording

ANT = """<mujoco><worldbody>
  <geom type='plane' size='0 0 1'/>
  <body name='trunk' pos='0 0 .15'>
    <freejoint name='root'/><geom size='.05'/>
    <body name='leg' pos='.05 0 0'>
      <joint name='hip' axis='0 1 0' range='-60 60' damping='.02'/>
      <geom type='capsule' size='.01' fromto='0 0 0 0 .02 -.1'/>
    </body>
  </body></worldbody>
  <actuator><motor name='hip' joint='hip' gear='.2' ctrlrange='-1 1'/></actuator>
</mujoco>"""

def ant():
    return bodies.describe("ant", mujoco.MjSpec.from_string(ANT))

beetle = ant()
nothing = 3

def tabs(path):
    frames = np.loadtxt(path)
    return Recording("tabs", str(path), frames, (len(frames),), fps=50.0, unit="m")

def text(clips, path):
    path.write_text(" ".join(clips.names))

def markers(path, animal):
    with np.load(path) as file:
        return file["positions"][animal], list(file["names"]), None
'''


@pytest.fixture
def here(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """The current directory, which is not among those where Python searches modules."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p not in ("", str(tmp_path))])
    return tmp_path


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A folder with a module of a user, a motion of its body, and keypoints of two forelimbs."""
    folder = tmp_path_factory.mktemp("lab")
    (folder / "scratch_lab.py").write_text(LAB)
    angles = 0.3 * np.sin(np.linspace(0, 6, 20))
    qpos = np.tile([0, 0, 0.15, 1, 0, 0, 0, 0.0], (20, 1))
    qpos[:, 7] = angles
    np.savetxt(folder / "nod.tab", qpos)
    arm = bodies.get("mouse_arm")
    tiny, data, points = clips_.load("generated/tiny", arm), mujoco.MjData(arm.model), []
    for data.qpos[:] in tiny.qpos[0, :30]:
        mujoco.mj_kinematics(arm.model, data)
        frames = [(data.body(k.body), k.offset) for k in arm.keypoints.values()]
        points.append([b.xpos + b.xmat.reshape(3, 3) @ offset for b, offset in frames])
    with (folder / "reach.markers").open("wb") as file:
        np.savez(file, positions=np.array([np.zeros((30, 3, 3)), points]), names=[*arm.keypoints])
    return folder


@pytest.fixture
def in_lab(lab: pathlib.Path, here: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """The lab's folder as the current directory, with the clip file `nod.h5`."""
    monkeypatch.chdir(lab)
    clips = clips_.import_clips("nod.tab", "scratch_lab:ant", layout="scratch_lab:tabs")[0]
    clips.save("nod.h5")
    return lab


class TestResolve:
    def test_names_of_the_table_are_found(self) -> None:
        assert resolve("thing", "ordered", TABLE) is OrderedDict
        assert resolve("thing", "seven", TABLE) == 7

    def test_a_module_of_the_current_directory_is_found(self, here: pathlib.Path) -> None:
        (here / "scratch_found.py").write_text("import sys\nmine = 3\nseen = list(sys.path)\n")
        before = list(sys.path)
        assert resolve("thing", "scratch_found:mine", TABLE) == 3
        assert sys.modules["scratch_found"].seen == [str(here), *before]
        assert sys.path == before

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("orderd", r"unknown thing 'orderd'; did you mean 'ordered'.*; module:name is accept"),
            ("nowhere_at_all:x", r"thing 'nowhere_at_all:x': cannot import module 'nowhere_at_all"),
            ("scratch_broken:x", r"module 'scratch_broken': ZeroDivisionError: division"),
            ("scratch_syntax:x", r"module 'scratch_syntax': SyntaxError: "),
            ("collections:OrderdDict", r"'collections' .* has no 'OrderdDict'; did you mean 'Ord"),
            ("collections:a:b", r"module 'collections' .* has no 'a:b'"),
            (":x", "thing ':x' is not module:name, for example"),
            ("collections:", "thing 'collections:' is not module:name"),
            (".collections:x", "thing '.collections:x' is not module:name"),
        ],
    )
    def test_wrong_names_are_explained(self, here: pathlib.Path, name: str, message: str) -> None:
        (here / "scratch_broken.py").write_text("1 / 0\n")
        (here / "scratch_syntax.py").write_text("def\n")
        with pytest.raises(ValueError, match=message):
            resolve("thing", name, TABLE)


REGISTRIES: dict[str, Callable[[str], object]] = {
    "body": bodies.get,
    "layout to import": lambda name: clips_.import_clips("nod.tab", "scratch_lab:ant", layout=name),
    "layout to export": lambda name: clips_.export_clips(
        clips_.load("nod.h5", "scratch_lab:beetle"), "nod.text", name
    ),
    "kind of keypoint file": lambda name: stac.read("reach.markers", 200, "m", reader=name),
}
"""What asks each registry for an entry, in the lab's folder."""

ENTRIES = {
    "body": ["scratch_lab:ant", "scratch_lab:beetle"],
    "layout to import": ["scratch_lab:tabs"],
    "layout to export": ["scratch_lab:text"],
    "kind of keypoint file": ["scratch_lab:markers"],
}


@pytest.mark.parametrize("registry", REGISTRIES)
def test_every_registry_accepts_entries_from_outside(registry: str, in_lab: pathlib.Path) -> None:
    if registry == "kind of keypoint file":
        keypoints = stac.read("reach.markers", 200, "m", reader="scratch_lab:markers", animal=1)
        assert keypoints.positions.shape == (30, 3, 3)
        return
    for name in ENTRIES[registry]:
        REGISTRIES[registry](name)


@pytest.mark.parametrize("registry", REGISTRIES)
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no_such_entry", r"unknown {kind} 'no_such_entry'.*; module:name is accepted too"),
        ("scratch_none:x", r"{kind} 'scratch_none:x': cannot import module 'scratch_none'"),
        ("scratch_lab:ants", r"{kind} 'scratch_lab:ants': .* has no 'ants'; did you mean 'ant'"),
    ],
)
def test_every_registry_explains_wrong_names(
    registry: str, name: str, message: str, in_lab: pathlib.Path
) -> None:
    with pytest.raises(ValueError, match=message.format(kind=registry.split(" to ")[0])):
        REGISTRIES[registry](name)


@pytest.mark.parametrize(
    ("registry", "name", "message"),
    [
        ("body", "scratch_lab:nothing", "must be a Body or a function that returns one.*a int"),
        ("layout to import", "pathlib:Path", "must return a mimic_envs.*Recording, but .*Path"),
        ("kind of keypoint file", "builtins:print", "must return positions, names.*a NoneType"),
    ],
)
def test_entries_of_the_wrong_type_are_explained(
    registry: str, name: str, message: str, in_lab: pathlib.Path
) -> None:
    with pytest.raises(ValueError, match=message):
        REGISTRIES[registry](name)


def test_a_function_makes_its_body_once(in_lab: pathlib.Path) -> None:
    assert bodies.get("scratch_lab:ant") is bodies.get("scratch_lab:ant")
    assert mimic_envs.make("scratch_lab:ant", clips="nod.h5").body is bodies.get("scratch_lab:ant")


def test_frames_per_clip_cuts_what_a_layout_from_outside_reads(in_lab: pathlib.Path) -> None:
    clips, _ = clips_.import_clips(
        "nod.tab", "scratch_lab:ant", layout="scratch_lab:tabs", frames_per_clip=5
    )
    assert clips.lengths.tolist() == [5] * 4


def test_a_folder_of_files_of_a_layout_from_outside_is_read(in_lab: pathlib.Path) -> None:
    (in_lab / "many").mkdir()
    for name in "ab":
        (in_lab / "many" / f"{name}.tab").write_text((in_lab / "nod.tab").read_text())
    clips, _ = clips_.import_clips("many", "scratch_lab:ant", layout="scratch_lab:tabs")
    assert clips.names == ("a", "b")


def test_a_clip_file_makes_nobody_import_a_module(in_lab: pathlib.Path) -> None:
    import h5py

    with pytest.raises(ValueError, match=r"unknown body 'ant'.*give it as module:name"):
        clips_.ClipSet.load("nod.h5")
    with h5py.File("nod.h5", "r+") as file:
        file.attrs["body"] = "scratch_lab:ant"
    with pytest.raises(ValueError, match="unknown body 'scratch_lab:ant'"):
        clips_.ClipSet.load("nod.h5")


@pytest.mark.parametrize("layout", ["stac", "all_clips", "named", "rollout", "npz", "csv"])
def test_layouts_of_this_package_can_be_named(layout: str, tmp_path: pathlib.Path) -> None:
    tiny = clips_.load("generated/tiny", "rodent")
    path = tmp_path / f"a.{layout if layout in ('npz', 'csv') else 'h5'}"
    clips_.export_clips(tiny, path, layout)
    read, report = clips_.import_clips(path, "rodent", layout=layout)
    assert (read.content_hash, report.layout) == (tiny.content_hash, layout)
    other = "named" if layout == "rollout" else "rollout"
    with pytest.raises(ValueError, match=r"does not have layout|not an HDF5 file"):
        clips_.import_clips(path, "rodent", layout=other)


COMMANDS = {
    "bodies check scratch_lab:ant": "control step: 10 ms",
    "clips import nod.tab --body scratch_lab:ant --layout scratch_lab:tabs --out a.h5": "1 clips",
    "clips info nod.h5 --body scratch_lab:ant": "body: ant",
    "clips export nod.h5 --body scratch_lab:ant --layout scratch_lab:text --out a.txt": "wrote",
    "stac fit mouse_arm reach.markers --reader scratch_lab:markers --animal 1 --fps 200 --unit m "
    "--out b.h5": "joints observed",
    "score scratch_lab:ant --clips nod.h5 --controller zero --out r.json": "score ",
    "play scratch_lab:beetle --clips nod.h5 --controller zero --width 64 --height 64": "video",
}


@pytest.mark.parametrize("command", COMMANDS)
def test_the_installed_command_finds_modules_of_its_folder(
    command: str, in_lab: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    script = tmp_path / "mimic-envs"  # as pip installs it: only its own folder is searched
    script.write_text("from mimic_envs.cli import main\nmain()\n")
    root = pathlib.Path(mimic_envs.__file__).parents[1]
    done = subprocess.run(
        [sys.executable, str(script), *command.split()],
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert COMMANDS[command] in done.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_explain_wrong_names(
    command: str, in_lab: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = command.split()
    last = max(i for i, word in enumerate(words) if word.startswith("scratch_lab:"))
    for wrong, message in (
        ("scratch_none:x", "cannot import module 'scratch_none': ModuleNotFoundError"),
        ("scratch_lab:wrong", "has no 'wrong'"),
    ):
        with pytest.raises(SystemExit) as stop:
            cli.main([*words[:last], wrong, *words[last + 1 :]])
        assert stop.value.code == 2
        assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    "command", ["bodies check", "clips import", "clips export", "clips info", "stac fit", "score"]
)
def test_help_says_that_modules_are_accepted(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    cli.main([*command.split(), "--help"])
    assert "module:name" in capsys.readouterr().out
