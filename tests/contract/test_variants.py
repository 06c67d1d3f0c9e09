"""Variants of environments are data: ids of users whose keywords JSON can hold."""

from __future__ import annotations

import pathlib
import textwrap
import warnings
from collections.abc import Iterator

import gymnasium
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec
from gymnasium.utils.env_checker import check_env
from gymnasium.utils.env_match import check_environments_match

from mimic_envs.clips import load
from mimic_envs.gym import Env, VectorEnv
from mimic_envs.mdp import Delay, Event, Randomize, Reward

ID = "my_lab/LesionedArm-v3"
TERMS = """
    import dataclasses
    import jax.numpy as jnp
    from mimic_envs.mdp import Event

    def quiet(c):
        return jnp.mean(c.action ** 2)

    @dataclasses.dataclass(frozen=True)
    class Tremor(Event):
        size: float
        def control(self, body, state, control):
            return control + self.size
"""
VARIANT = {
    "body": "mouse_arm",
    "clips": "generated/tiny",
    "rewards": {
        "joints": 2.0,
        "end_effectors": {"weight": 0.25, "sigma": 0.02},
        "control": None,
        "quiet": {"function": "variant_terms:quiet", "weight": 0.01, "kind": "cost"},
    },
    "terminations": {"joint_distance": 1.5},
    "groups": ["reference", "proprioception"],
    "observations": {
        "proprioception": {"joint_angles": {"noise": 0.01}, "joint_velocities": None},
        "privileged": {"quiet": {"function": "variant_terms:quiet", "bound": 1.0}},
    },
    "metrics": {"quiet": "variant_terms:quiet"},
    "events": {
        "lesion": {"kind": "randomize", "quantity": "gain", "low": 0.0, "high": 0.5, "names": []},
        "delay": {"kind": "delay", "low": 1, "high": 2},
        "tremor": {"kind": "variant_terms:Tremor", "size": 0.01},
    },
    "sampling": "failure",
    "first_frame_share": 0.25,
    "clip_weights": {},
    "clip_end": "fail",
    "time_limit_s": 1.0,
    "backend_options": {"threads": 1},
}


@pytest.fixture(scope="module")
def variant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The id, registered as users do, with a module of its terms beside it."""
    folder: pathlib.Path = tmp_path_factory.mktemp("lab")
    (folder / "variant_terms.py").write_text(textwrap.dedent(TERMS))
    tiny = load("generated/tiny", "mouse_arm")
    muscle = tiny.body.actuator_names[0]
    keywords = VARIANT | {"clip_weights": {tiny.names[0]: 3.0}}
    keywords["events"] = {
        **VARIANT["events"],
        "lesion": VARIANT["events"]["lesion"] | {"names": [muscle]},
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        gymnasium.register(
            ID,
            entry_point="mimic_envs.gym:Env",
            vector_entry_point="mimic_envs.gym:VectorEnv",
            max_episode_steps=50,
            kwargs=keywords,
        )
        yield ID
    del gymnasium.registry[ID]


def test_a_variant_survives_json(variant: str) -> None:
    """On both faces: the same spaces, and the same episodes from the same seed."""
    env = gymnasium.make(variant)
    again = gymnasium.make(EnvSpec.from_json(env.spec.to_json()))
    assert isinstance(again.unwrapped, Env)
    assert again.spec.max_episode_steps == 50
    check_environments_match(env, again, num_steps=60, info_comparison="equivalence")
    envs = gymnasium.make_vec(variant, num_envs=2)
    twins = gymnasium.make_vec(EnvSpec.from_json(envs.spec.to_json()), num_envs=2)
    assert isinstance(twins, VectorEnv)
    assert twins.max_episode_steps == envs.max_episode_steps == 50
    for one in (envs, twins):
        one.reset(seed=5)
    rng = np.random.default_rng(0)
    for _ in range(5):
        actions = rng.uniform(-1, 1, envs.action_space.shape)
        for x, y in zip(envs.step(actions)[:4], twins.step(actions)[:4], strict=True):
            np.testing.assert_array_equal(x, y)


def test_gymnasiums_checker_is_content_with_a_variant(variant: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(gymnasium.make(variant).unwrapped, skip_render_check=True)


def test_a_variant_is_what_its_keywords_say(variant: str) -> None:
    functional = gymnasium.make(variant).unwrapped.functional
    task = functional.task
    assert list(task.observations) == ["reference", "proprioception"]
    assert task.rewards["joints"].weight == 2.0
    assert (task.rewards["end_effectors"].weight, task.rewards["end_effectors"].sigma) == (
        0.25,
        0.02,
    )
    assert "control" not in task.rewards
    assert task.rewards["quiet"].weight == 0.01
    assert task.terminations["joint_distance"].limit == 1.5
    assert task.observations["proprioception"]["joint_angles"].noise == 0.01
    assert "joint_velocities" not in task.observations["proprioception"]
    muscle = functional.body.actuator_names[0]
    assert task.events["lesion"] == Randomize("gain", 0.0, 0.5, names=(muscle,))
    assert task.events["delay"] == Delay(1, 2)
    assert isinstance(task.events["tremor"], Event)
    sampling = task.command.sampling
    assert (sampling.mode, sampling.first_frame_share) == ("failure", 0.25)
    np.testing.assert_allclose(np.exp(sampling.weights[:2]), [3.0, 1.0], rtol=1e-6)
    assert (task.command.end, functional.settings.limit) == ("fail", 200)


def test_keywords_change_a_variant_further(variant: str) -> None:
    env = gymnasium.make(variant, rewards={"joints": 1.0}, groups=None)
    assert env.unwrapped.functional.task.rewards["joints"].weight == 1.0
    assert "quiet" not in env.unwrapped.functional.task.rewards  # a keyword replaces the whole one


def constant(c: object) -> float:
    """One."""
    return 1.0


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"rewards": {"bonus": Reward(constant)}}, r"keyword rewards\['bonus'\] is a Reward"),
        (
            {"rewards": {"bonus": {"function": constant}}},
            r"keyword rewards\['bonus'\]\['function'\] is a function, which .*'module:name'",
        ),
        (
            {"observations": {"mine": {"one": {"function": constant}}}},
            r"keyword observations\['mine'\]\['one'\]\['function'\] is a function",
        ),
        ({"events": {"delay": Delay(0, 1)}}, r"keyword events\['delay'\] is a Delay"),
        (
            {"terminations": {"joint_distance": (np.float32(-1), 2)}},
            r"keyword terminations\['joint_distance'\]\[0\] is a float32, .*; give -1\.0 instead",
        ),
        ({"clips": pathlib.Path("some.h5")}, r"keyword 'clips' is a PosixPath, .* give 'some\.h5'"),
    ],
)
def test_a_spec_with_an_object_names_its_place(keywords, message: str) -> None:
    """Gymnasium sets a spec when it makes an environment; nothing else of that is of interest."""
    env = gymnasium.make("mimic_envs/MouseArm-v1", clips="generated/tiny")
    spec = env.unwrapped.spec
    spec.kwargs = spec.kwargs | keywords
    with pytest.raises(TypeError, match=message):
        spec.to_json()


def test_the_way_of_automatic_resets_is_given_by_its_name() -> None:
    mode = gymnasium.vector.AutoresetMode.SAME_STEP
    arm = {"id": "mimic_envs/MouseArm-v1", "num_envs": 2, "clips": "generated/tiny"}
    spec = gymnasium.make_vec(**arm, autoreset_mode=mode).spec
    with pytest.raises(TypeError, match=r"'autoreset_mode' is a AutoresetMode, .* 'SameStep'"):
        spec.to_json()
    envs = gymnasium.make_vec(**arm, autoreset_mode="SameStep")
    again = gymnasium.make_vec(EnvSpec.from_json(envs.spec.to_json()))
    assert (again.autoreset_mode, again.num_envs) == (mode, 2)
