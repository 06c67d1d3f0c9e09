"""Observations as dictionaries, for both Gymnasium faces."""

from __future__ import annotations

import warnings
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode
from gymnasium.wrappers import FlattenObservation

import mimic_envs  # noqa: F401  (registers the environments)
from mimic_envs.gym.observations import FORMS

DICTIONARIES = [form for form in FORMS if form != "flat"]
ID, N = "mimic_envs/MouseArm-v1", 3


def options(**more: Any) -> dict[str, Any]:
    return {"clips": "generated/tiny", **more}


def joined(observation: dict[str, np.ndarray], leading: int = 0) -> np.ndarray:
    """The values of a dictionary side by side, in its order."""
    parts = [x.reshape(*x.shape[:leading], -1) for x in observation.values()]
    return np.concatenate(parts, axis=-1)


@pytest.mark.parametrize("form", DICTIONARIES)
def test_spaces_of_every_body(env_id: str, form: str) -> None:
    """One box for each part, in the order, shapes and bounds of the flat form."""
    flat = gymnasium.make(env_id, **options()).unwrapped
    env = gymnasium.make(env_id, **options(observation_form=form)).unwrapped
    space, layout = env.observation_space, flat.observation_layout
    assert isinstance(space, gymnasium.spaces.Dict)
    assert gymnasium.spaces.flatten_space(space) == flat.observation_space
    groups = list(dict.fromkeys(name.split("/")[0] for name in layout))
    assert list(space) == (groups if form == "groups" else list(layout))
    if form == "entries":
        for name, (_, shape, bound) in layout.items():
            assert space[name].shape == shape
            assert np.all(space[name].high == np.float32(bound))


@pytest.mark.parametrize("form", DICTIONARIES)
def test_checker_is_content(form: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        env = gymnasium.make(ID, **options(observation_form=form))
        check_env(env.unwrapped, skip_render_check=True)
        assert EnvSpec.from_json(env.spec.to_json()).kwargs["observation_form"] == form


@pytest.mark.parametrize("form", DICTIONARIES)
def test_flattened_it_is_the_flat_form(form: str) -> None:
    flat = gymnasium.make(ID, **options())
    wrapped = FlattenObservation(gymnasium.make(ID, **options(observation_form=form)))
    assert wrapped.observation_space == flat.observation_space
    np.testing.assert_array_equal(wrapped.reset(seed=3)[0], flat.reset(seed=3)[0])
    for _ in range(5):
        action = flat.action_space.sample()
        np.testing.assert_array_equal(wrapped.step(action)[0], flat.step(action)[0])


@pytest.mark.parametrize("mode", list(AutoresetMode))
@pytest.mark.parametrize("form", DICTIONARIES)
def test_vector_face_agrees_with_its_flat_form(form: str, mode: AutoresetMode) -> None:
    """Through ends and resets of every mode, final observations included."""
    flat = gymnasium.make_vec(ID, N, **options(autoreset_mode=mode))
    envs = gymnasium.make_vec(ID, N, **options(autoreset_mode=mode, observation_form=form))
    single = envs.single_observation_space
    assert list(envs.observation_space) == list(single)
    start = {"clip": 0, "frame": int(flat.functional.clips.lengths[0]) - 3}
    reset = flat.reset(seed=5, options=start)[0], envs.reset(seed=5, options=start)[0]
    finals = 0
    for _ in range(6):
        np.testing.assert_array_equal(joined(reset[1], 1), reset[0])
        assert envs.observation_space.contains(reset[1])
        actions = flat.action_space.sample()
        expected, obtained = flat.step(actions), envs.step(actions)
        assert envs.observation_space.contains(obtained[0])
        np.testing.assert_array_equal(joined(obtained[0], 1), expected[0])
        last = expected[4].get("final_obs", [])
        for i, observation in enumerate(last):
            if observation is not None:
                finals += 1
                assert single.contains(obtained[4]["final_obs"][i])
                np.testing.assert_array_equal(joined(obtained[4]["final_obs"][i]), observation)
        reset = expected[0], obtained[0]
        if mode is AutoresetMode.DISABLED and (expected[2] | expected[3]).any():
            mask = {"reset_mask": expected[2] | expected[3]}
            reset = flat.reset(options=dict(mask))[0], envs.reset(options=dict(mask))[0]
    assert finals >= N or mode is not AutoresetMode.SAME_STEP


@pytest.mark.parametrize("form", DICTIONARIES)
def test_equals_gymnasiums_sync_vector_env(form: str) -> None:
    """Spaces, observations, and the form of final observations."""
    mode = AutoresetMode.SAME_STEP
    ours = gymnasium.make_vec(ID, N, **options(observation_form=form, autoreset_mode=mode))
    theirs = gymnasium.make_vec(
        ID,
        N,
        vectorization_mode="sync",
        vector_kwargs={"autoreset_mode": mode},
        **options(observation_form=form),
    )
    assert ours.single_observation_space == theirs.single_observation_space
    assert ours.observation_space == theirs.observation_space
    last = int(ours.functional.clips.lengths[0]) - 1
    start = {"clip": 0, "frame": last - 1}
    a, b = (envs.reset(seed=1, options=dict(start))[0] for envs in (ours, theirs))
    compare(a, b)
    still = np.zeros(ours.action_space.shape, np.float32)
    (a, *_, infos), (b, *_, expected) = ours.step(still), theirs.step(still)
    compare(a, b)
    assert expected["_final_obs"].all()
    for final, other in zip(infos["final_obs"], expected["final_obs"], strict=True):
        compare(final, other)


def compare(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> None:
    assert a.keys() == b.keys()
    for name, values in b.items():
        assert a[name].dtype == values.dtype
        np.testing.assert_allclose(a[name], values, atol=1e-3, rtol=1e-4)


@pytest.mark.parametrize("form", FORMS)
def test_observations_belong_to_the_caller(form: str) -> None:
    envs = gymnasium.make_vec(ID, N, **options(observation_form=form))
    envs.reset(seed=0)

    def arrays(observation: Any) -> list[np.ndarray]:
        return list(observation.values()) if form != "flat" else [observation]

    action = np.full(envs.action_space.shape, 0.1, np.float32)
    first = arrays(envs.step(action)[0])
    kept = [x.copy() for x in first]
    second = arrays(envs.step(action)[0])
    for x, old in zip(first, kept, strict=True):
        np.testing.assert_array_equal(x, old)
    for x in second:
        x[:] = 77
    assert not any((x == 77).any() for x in arrays(envs.step(action)[0]))


def test_order_of_groups_is_the_users() -> None:
    groups = ("reference", "proprioception")
    env = gymnasium.make(ID, **options(observation_form="groups", groups=groups))
    assert tuple(env.observation_space) == groups


def test_unknown_form_names_the_nearest() -> None:
    for make in (gymnasium.make, gymnasium.make_vec):
        with pytest.raises(ValueError, match="'group'; did you mean 'groups'"):
            make(ID, **options(observation_form="group"))
