"""Wrong values of every option get one clear error, on every face; NumPy's scalars are accepted."""

from __future__ import annotations

import dataclasses
import inspect
from typing import Annotated, Any, Literal

import gymnasium
import jax
import numpy as np
import pytest

import mimic_envs
from mimic_envs import assembly, bodies, clips
from mimic_envs.clips import ClipSet
from mimic_envs.gym.keywords import Keywords
from mimic_envs.mdp import Delay, Observation, Push, Randomize, Reward, Termination
from mimic_envs.options import Options
from mimic_envs.tasks import imitation
from mimic_envs.validation import Range, accepted, checked

ARM = "mimic_envs/MouseArm-v1"
NAN, INF = float("nan"), float("inf")
NOT_A_STRING = [3, True, b"x", ["x"], object()]
NOT_A_NUMBER = ["a", True, NAN, INF, [1.0], np.array([1.0, 2.0]), object(), 1j, 10**400]
NOT_POSITIVE = [*NOT_A_NUMBER, 0, -1, np.float32(-0.5)]
NEGATIVE = [*NOT_A_NUMBER, -1, np.float32(-0.5)]
NOT_A_COUNT = [*NOT_POSITIVE, 1.5]
NOT_A_BOOLEAN = ["no", "", 0, 1, None, np.array([True, False]), object()]
NOT_A_TABLE = [3, "x", [1], True, object(), {3: 1.0}]
NOT_ROWS = [*NOT_A_TABLE, {"a b": 1.0}, {"nothing": 1.0}, {"nothing": None}, {"mine": object()}]
NOT_ROWS += [
    {"mine": {"weigth": 1.0}},
    {"mine": {}},
    {"mine": {"kind": "x"}},
    {"mine": {"kind": 3}},
]
NOT_ROWS += [
    {"mine": "x"},
    {"mine": "no_such:thing"},
    {"mine": "math:sine"},
    {"mine": lambda c: c.x},
]

WRONG: dict[str, list[Any]] = {
    "task": [3, None, True, object(), "imitatoin", "math:pi", "no_such:task", "math"],
    "action": [*NOT_A_STRING, None, "torqe", "math:sine"],
    "backend": [*NOT_A_STRING, None, "nativ"],
    "backend_options": [
        *NOT_A_TABLE,
        *({"threads": x} for x in ("a", -1, 1.5, NAN, True, None)),
        {"thread": 2},
    ],
    "observations": [
        *NOT_A_TABLE,
        {"proprioception": 3},
        {"refrence": None},
        {"reference": None, "proprioception": None},
        *({"mine": rows} for rows in NOT_ROWS),
    ],
    "groups": [3, "reference", (), ("refrence",), (3,), ("reference", "reference"), {}, object()],
    "rewards": [
        *NOT_ROWS,
        *({"joints": x} for x in [*NOT_A_NUMBER, {"weight": "a"}, {"sigma": 0}]),
    ],
    "nonfinite_actions": [*NOT_A_STRING, None, "stop"],
    "terminations": [*NOT_ROWS, *({"joint_distance": x} for x in [*NOT_A_NUMBER, (2.0, 1.0)])],
    "metrics": [*NOT_ROWS, {"error/body_distance": 2.0}],
    "events": [
        *NOT_ROWS,
        {"mine": {"low": 1, "high": 1}},
        {"mine": {"kind": "delay", "low": 0.5, "high": 1}},
        {"mine": {"kind": "push", "impulse": "a"}},
        {"mine": {"kind": "randomize", "quantity": "mas", "low": 1, "high": 1}},
    ],
    "terminate": NOT_A_BOOLEAN,
    "time_limit_s": NOT_POSITIVE,
    "action_filter_s": [*NEGATIVE, None],
    "initial_angle_noise_rad": [*NEGATIVE, None],
    "initial_velocity_noise": [*NEGATIVE, None],
    "clips": [*NOT_A_STRING, None, 3.0, "generated/tinny", "", "nowhere"],
    "grounded": NOT_A_BOOLEAN,
    "clip_end": [*NOT_A_STRING, None, "trunkate"],
    "joined_s": NOT_POSITIVE,
    "blend_s": [*NEGATIVE, None],
    "reference_frames": [*NOT_A_COUNT, 10**6],
    "reference_stride": [*NOT_A_COUNT, 10**6],
    "sampling": [*NOT_A_STRING, None, "failures"],
    "first_frame_share": [*NEGATIVE, None, 1.1],
    "clip_weights": [*NOT_A_TABLE, {"nowhere": 1.0}, *({"tiny_0": x} for x in NEGATIVE)],
}
"""Values that are wrong, for every option."""

WRONG_KEYWORDS: dict[str, list[Any]] = {
    "width": [*NOT_A_COUNT, None],
    "height": [*NOT_A_COUNT, None],
    "camera": NOT_A_STRING,
    "observation_form": [*NOT_A_STRING, None, "dictionary"],
    "num_envs": [*NOT_A_COUNT, None],
    "autoreset_mode": [3, None, True, "nextstep", object()],
    "max_episode_steps": [*NOT_A_NUMBER, 0, -2, 1.5],
}
"""The same for the keywords of the faces."""

WRONG_MOTIONS: dict[str, list[Any]] = {
    "body": [3, None, "mouse_arn", object()],
    "motions": [
        3,
        None,
        "x",
        [],
        {},
        [np.full((5, 4), NAN)],
        [[[0.0]]],
        ["x"],
        [[[0.0], [0.0, 1.0]]],
    ],
    "fps": [*NOT_POSITIVE, None],
    "names": [3, "a", [3], ["a", "b"], [""], [None]],
    "labels": [3, "a", [3], ["a", "b"], ["\n"]],
    "source": NOT_A_STRING,
    "licence": NOT_A_STRING,
    "where": NOT_A_STRING,
}
"""The same for the arguments of `ClipSet.from_motions`."""


def cases(table: dict[str, list[Any]]) -> list[Any]:
    return [
        pytest.param(name, value, id=f"{name}-{i}")
        for name, values in table.items()
        for i, value in enumerate(values)
    ]


def one_line_with(name: str) -> str:
    """A short message that names an option; of rows and groups their kind is enough."""
    return rf"(?i)\A(?=.{{0,400}}{name.removesuffix('s')}).{{1,700}}\Z"


def test_every_option_is_tried() -> None:
    kinds = (Options, imitation.Options)
    assert set(WRONG) == {f.name for kind in kinds for f in dataclasses.fields(kind)}
    assert set(WRONG_KEYWORDS) == {f.name for f in dataclasses.fields(Keywords)}
    arguments = set(inspect.signature(ClipSet.from_motions).parameters)
    assert set(WRONG_MOTIONS) == arguments


@pytest.mark.parametrize(("name", "value"), cases(WRONG))
def test_a_wrong_option_is_named(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=one_line_with(name)):
        assembly.assemble("mouse_arm", **{"clips": "generated/tiny", name: value})


@pytest.mark.parametrize(("name", "value"), cases(WRONG_KEYWORDS))
def test_a_wrong_keyword_of_a_face_is_named(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=one_line_with(name)):
        Keywords(**{name: value})


@pytest.mark.parametrize(("name", "value"), cases(WRONG_MOTIONS))
def test_a_wrong_argument_of_a_clip_set_is_named(name: str, value: Any) -> None:
    given: dict[str, Any] = {"body": "mouse_arm", "motions": [np.zeros((5, 4))], "fps": 100}
    assert ClipSet.from_motions(**given).names == ("clip_000",)
    with pytest.raises(ValueError, match="motion|qpos|clip" if name == "motions" else name[:-1]):
        ClipSet.from_motions(**{**given, name: value})


@pytest.mark.parametrize("face", [gymnasium.make, gymnasium.make_vec])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"terminate": "no"}, "terminate must be True or False, got 'no'"),
        ({"clip": True}, "unknown option of an environment 'clip'; did you mean 'clips'"),
        ({"widht": 3}, "unknown option of an environment 'widht'; did you mean 'width'"),
        ({"width": 0}, "width must be a positive integer, got 0"),
        ({"reference_frames": "a"}, "reference_frames must be a positive integer or None, got 'a'"),
        ({"backend_options": {"thread": 2}}, "'native' in backend_options 'thread'; .* 'threads'"),
        ({"render_mode": "rgb"}, "did you mean 'rgb_array'"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*render_mode")
def test_the_faces_say_the_same(face: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        face(ARM, **{"clips": "generated/tiny", **options})


@pytest.mark.parametrize("face", [gymnasium.make, gymnasium.make_vec])
@pytest.mark.parametrize("steps", [0, -2])
def test_no_episode_of_no_steps(face: Any, steps: int) -> None:
    with pytest.raises(ValueError, match="max_episode_steps"):
        face(ARM, clips="generated/tiny", max_episode_steps=steps)


def test_an_episode_without_a_limit() -> None:
    """-1 means the same in both: no limit, also where the id has one."""
    gymnasium.register(
        "LimitedArm-v0",
        entry_point="mimic_envs.gym:Env",
        vector_entry_point="mimic_envs.gym:VectorEnv",
        max_episode_steps=2,
        kwargs={"body": "mouse_arm", "clips": "generated/tiny", "terminate": False},
    )
    envs = gymnasium.make_vec("LimitedArm-v0", num_envs=2, max_episode_steps=-1)
    limited = gymnasium.make_vec("LimitedArm-v0", num_envs=2)
    assert (envs.max_episode_steps, limited.max_episode_steps) == (None, 2)
    assert gymnasium.make("LimitedArm-v0", max_episode_steps=-1).spec.max_episode_steps is None
    start = {"clip": 0, "frame": 0}
    ends = []
    for one in (envs, limited):
        one.reset(seed=0, options=start)
        still = np.zeros(one.action_space.shape, np.float32)
        ends.append([bool(one.step(still)[3][0]) for _ in range(3)])
    assert ends == [[False] * 3, [False, True, False]]


def test_numpy_scalars_are_python_scalars() -> None:
    given = {
        "terminate": np.bool_(False),
        "reference_frames": np.int64(2),
        "reference_stride": 3.0,
        "first_frame_share": np.float32(0.5),
        "time_limit_s": np.array(1.5),
        "rewards": {"joints": np.float32(0.5)},
        "groups": ["reference"],
        "backend_options": {"threads": np.int8(1)},
    }
    plain = {
        "terminate": False,
        "reference_frames": 2,
        "reference_stride": 3,
        "first_frame_share": 0.5,
        "time_limit_s": 1.5,
        "rewards": {"joints": 0.5},
        "groups": ("reference",),
        "backend_options": {"threads": 1},
    }
    ours, theirs = (
        assembly.assemble("mouse_arm", clips="generated/tiny", **x) for x in (given, plain)
    )
    # equal, so that they share compiled programs
    assert jax.tree.structure(ours) == jax.tree.structure(theirs)
    assert type(ours.task.rewards["joints"].weight) is float
    assert Randomize("mass", np.float32(1), 1) == Randomize("mass", 1.0, 1.0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Reward(3), r"Reward: function must be a function, got 3"),
        (lambda: Reward(abs, "a"), r"Reward: weight must be a number, got 'a'"),
        (lambda: Observation(abs, noise=-1), r"Observation: noise must be a number of at least 0"),
        (lambda: Termination(abs, (1.0,)), r"Termination: limit must be a number or a sequence"),
        (lambda: Push(True), r"Push: impulse must be a number of at least 0, got True"),
        (lambda: Delay(0, 1.5), r"Delay: high must be an integer of at least 0, got 1\.5"),
        (lambda: Randomize("mass", 1, 1, names="head"), r"names must be a sequence or None"),
    ],
)
def test_fields_of_rows_and_events_are_checked(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("start", "message"),
    [
        ({"clip": True}, "clip must be an integer or a string, got True"),
        ({"clip": NAN}, "clip must be an integer or a string, got nan"),
        ({"clip": [0]}, r"clip must be an integer or a string, got \[0\]"),
        ({"frame": NAN}, "frame nan cannot be a start: frames 0 to"),
        ({"frame": "a"}, "frame 'a' cannot be a start: frames 0 to"),
        ({"frame": True}, "frame True cannot be a start: frames 0 to"),
    ],
)
def test_a_start_that_is_none(start: dict[str, Any], message: str) -> None:
    command = assembly.assemble("mouse_arm", clips="generated/tiny").task.command
    with pytest.raises(ValueError, match=message):
        command.condition(**start)


def test_tools_of_clips_check_their_arguments() -> None:
    tiny = clips.load("generated/tiny", "mouse_arm")
    for tool, options, message in (
        (clips.trim, {"start_s": "a"}, "start_s must be a number of at least 0, got 'a'"),
        (clips.resample, {"fps": True}, "fps must be a positive number, got True"),
        (clips.join, {"blend_s": -1}, "blend_s must be a number of at least 0, got -1"),
        (clips.join, {"duration_s": 0}, "duration_s must be a positive number or None, got 0"),
    ):
        with pytest.raises(ValueError, match=message):
            tool(tiny, **options)
    with pytest.raises(ValueError, match="clips must be a ClipSet, got 'generated/tiny'"):
        clips.join("generated/tiny")


@dataclasses.dataclass(frozen=True)
class _Other:
    """Options of a task from outside; nothing of it checks anything."""

    speed: Annotated[float, Range(0.0)] = 1.0
    gait: Literal["walk", "trot"] = "walk"


def test_options_of_a_task_from_outside_are_checked_too() -> None:
    class Task:
        Options = _Other
        command = rows = staticmethod(lambda *_: pytest.fail("a wrong option came through"))

    for options, message in (
        ({"speed": "fast"}, "speed must be a number of at least 0, got 'fast'"),
        ({"gait": "trott"}, "unknown gait 'trott'; did you mean 'trot'"),
    ):
        with pytest.raises(ValueError, match=message):
            mimic_envs.make("mouse_arm", task=Task, **options)


def test_values_are_brought_into_form() -> None:
    body = bodies.get("mouse_arm")
    for value, hint, form in (
        (np.str_("a"), str, "a"),
        ([1, np.float64(2)], tuple[float, float], (1.0, 2.0)),
        (body, str | bodies.Body, body),
        (None, Annotated[int | None, Range(1)], None),
        ({"a": 1}, "a hint that is not known", {"a": 1}),
    ):
        assert accepted("x", value, hint) == form


def test_where_begins_the_message() -> None:
    @checked
    def read(number: int, where: str = "") -> int:
        return number

    assert read(np.int8(3)) == 3
    with pytest.raises(ValueError, match=r"file\.h5: number must be an integer, got 'a'"):
        read("a", where="file.h5")
