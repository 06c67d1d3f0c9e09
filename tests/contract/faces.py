"""What an environment's faces yield under the JAX settings of this process.

    python -m tests.contract.faces OUT.npz jax_enable_x64=true

Writes arrays by name; the test compares those of processes with different settings.
"""

from __future__ import annotations

import pathlib
import sys
from collections.abc import Iterator
from typing import Any

import gymnasium
import jax
import numpy as np

import mimic_envs
from mimic_envs import ENV_IDS, controllers, scoring
from mimic_envs.env import Environment
from mimic_envs.xla import prepare_cpu_compiler

IDS = ("mimic_envs/MouseArm-v1", "mimic_envs/Worm-v1", "mimic_envs/StickInsect-v1")
MJX = "mimic_envs/MouseArm-v1"
"""The id whose MJX is tried; the others compile for minutes."""
CONTROLLERS = {
    "mimic_envs/MouseArm-v1": ("zero", "random", "pd", "mpc"),
    "mimic_envs/Worm-v1": ("pd",),
    "mimic_envs/StickInsect-v1": ("pd", "wbc"),
}
CLIPS = "generated/tiny"
STEPS = 3
ACTION = 0.1
FIXED = "threefry2x32"
_DTYPES = ("float32", "int32", "uint32", "bool")

Arrays = Iterator[tuple[str, Any]]


def main(out: pathlib.Path, settings: list[str]) -> None:
    """Set JAX, use the faces of every id, and write what they yield."""
    prepare_cpu_compiler()
    for setting in settings:
        name, value = setting.split("=")
        jax.config.update(name, True if value == "true" else value)
    arrays = {f"{env_id} {name}": np.asarray(x) for env_id in IDS for name, x in faces(env_id)}
    np.savez(out, **arrays)


def faces(env_id: str) -> Arrays:
    """Results of the faces of an environment."""
    for backend in ("native", "mjx") if env_id == MJX else ("native",):
        yield from under(f"{backend} functional", functional(env_id, backend))
        yield from under(f"{backend} vector", vector(env_id, backend))
    yield from under("gymnasium", single(env_id))
    yield from under("outside jit", outside_jit(env_id))
    yield from under("action of", actions(env_id))
    env = mimic_envs.make(ENV_IDS[env_id], clips=CLIPS, terminate=False)
    found = scoring.score(env, controllers.make("pd", env), env.clips, CLIPS)
    yield "score", found.metrics["score"]


def under(prefix: str, arrays: Arrays) -> Arrays:
    """The arrays with a prefix to their names."""
    for name, x in arrays:
        yield f"{prefix} {name}", x


def functional(env_id: str, backend: str) -> Arrays:
    """The pure functions in a batch."""
    env = mimic_envs.make(ENV_IDS[env_id], clips=CLIPS, backend=backend)
    step = jax.jit(jax.vmap(Environment.step_autoreset, (None, 0, 0)))
    keys = jax.random.split(jax.random.key(0, impl=FIXED), 2)
    state = jax.jit(jax.vmap(Environment.reset, (None, 0)))(env, keys)
    action = np.full((2, env.action_size), ACTION)  # float64, as a user may give it
    for _ in range(STEPS):
        state, final = step(env, state, action)
        require_dtypes((state, final))
    yield from state.obs.items()
    yield "reward", final.reward
    yield from final.metrics.items()


def outside_jit(env_id: str) -> Arrays:
    """One environment whose operations are compiled one by one, for every kind of key."""
    env = mimic_envs.make(ENV_IDS[env_id], clips=CLIPS)
    fixed = jax.random.key(0, impl=FIXED)
    keys = {
        "typed": fixed,
        "words": jax.random.key_data(fixed),
        "rbg": jax.random.key(0, impl="rbg"),
        "default": jax.random.key(0),
        "default words": jax.random.PRNGKey(0),
    }
    for kind, key in keys.items():
        state = env.reset(key)
        require_dtypes(state)
        if not kind.startswith("default"):  # these are of the generator that was set
            yield kind, state.obs["reference"]
        assert state.key.shape == key.shape
        assert state.key.dtype == key.dtype
    state = env.step(env.reset(fixed), np.full(env.action_size, ACTION))
    require_dtypes(state)
    yield "step", state.obs["proprioception"]


def require_dtypes(tree: Any) -> None:
    """Require arrays of strong types that do not depend on settings."""
    for path, x in jax.tree_util.tree_leaves_with_path(tree):
        if jax.numpy.issubdtype(x.dtype, jax.dtypes.prng_key):
            continue
        name = jax.tree_util.keystr(path)
        assert str(x.dtype) in _DTYPES, f"{name} is {x.dtype}"
        assert not x.weak_type, f"{name} has a weak type"


def single(env_id: str) -> Arrays:
    """The Gymnasium environment."""
    env = gymnasium.make(env_id, clips=CLIPS)
    yield "first", env.reset(seed=0)[0]
    action = np.full(env.action_space.shape, ACTION, np.float32)
    obs, reward, *_ = env.step(action)
    assert obs.dtype == np.float32
    yield "obs", obs
    yield "reward", reward


def vector(env_id: str, backend: str) -> Arrays:
    """The Gymnasium vector environment."""
    envs = gymnasium.make_vec(env_id, num_envs=2, clips=CLIPS, backend=backend)
    yield "first", envs.reset(seed=0)[0]
    actions = np.full(envs.action_space.shape, ACTION, np.float32)
    obs, reward, *_ = envs.step(actions)
    assert obs.dtype == np.float32
    yield "obs", obs
    yield "reward", reward


def actions(env_id: str) -> Arrays:
    """An action of each controller, for keys of two kinds."""
    env = mimic_envs.make(ENV_IDS[env_id], clips=CLIPS)
    state = env.reset(jax.random.key(1, impl=FIXED))
    for name in CONTROLLERS[env_id]:
        controller = controllers.make(name, env)
        act = jax.jit(controller.act)
        action = act(controller.params, state, np.array([0, 2], np.uint32))
        require_dtypes(action)
        yield name, action
        if name == "random":
            require_dtypes(act(controller.params, state, jax.random.key(2)))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), sys.argv[2:])
