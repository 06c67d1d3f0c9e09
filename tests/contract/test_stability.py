"""The physics of every registered body holds together."""

from __future__ import annotations

import gymnasium
import mujoco
import numpy as np

from mimic_envs import ENV_IDS, bodies
from mimic_envs import clips as clips_
from mimic_envs.physics.mjx import WarpPhysics

_OVERFLOWS = (mujoco.mjtWarning.mjWARN_CONTACTFULL, mujoco.mjtWarning.mjWARN_CNSTRFULL)


def energies(model: mujoco.MjModel, qpos: np.ndarray, seconds: float) -> np.ndarray:
    """Kinetic plus potential energy at every step of a motion without actuation."""
    data = mujoco.MjData(model)
    data.qpos[:] = qpos
    energy = []
    for _ in range(round(seconds / model.opt.timestep)):
        mujoco.mj_step(model, data)
        energy.append(data.energy.sum())
    return np.array(energy)


def test_energy_does_not_grow_in_a_passive_fall(body: bodies.Body) -> None:
    """From a pose of the clips, lifted where the root can be lifted, until it lies still."""
    spec = body.spec()
    spec.option.enableflags |= int(mujoco.mjtEnableBit.mjENBL_ENERGY)
    spec.option.disableflags |= int(mujoco.mjtDisableBit.mjDSBL_ACTUATION)
    model = spec.compile()
    clips = clips_.load("generated/test", body)
    for clip in range(len(clips)):
        qpos = clips.qpos[clip, 10].astype(np.float64)
        if model.jnt_type[0] == mujoco.mjtJoint.mjJNT_FREE:
            qpos[2] += 0.2 * body.body_length
        energy = energies(model, qpos, seconds=60 * body.control_timestep_s)
        # where a body presses on joint limits at first, their springs hold energy too
        weight = model.body_mass.sum() * np.linalg.norm(model.opt.gravity)
        assert energy.max() - energy[0] < 0.01 * weight * body.body_length, clips.names[clip]


def test_random_actions(env_id: str) -> None:
    """Episodes end at the body's limits and nothing ever becomes invalid.

    `docs/measure.py` does the same with 256 environments for 10 s.
    """
    body = bodies.get(ENV_IDS[env_id])
    env = gymnasium.make_vec(env_id, num_envs=64, clips="generated/train")
    env.reset(seed=0)
    rng = np.random.default_rng(0)
    diverged = 0
    for _ in range(round(2 / body.control_timestep_s)):
        actions = rng.uniform(-1, 1, env.action_space.shape).astype(np.float32)
        obs, reward, *_, info = env.step(actions)
        assert np.isfinite(obs).all()
        assert np.isfinite(reward).all()
        diverged += int(info["diverged"].sum())
    assert diverged == 0


def test_no_buffer_overflows_on_any_clip(body: bodies.Body) -> None:
    """C MuJoCo's grow as needed, MJX has room for every pair, Warp's have a fixed size."""
    data, rows = mujoco.MjData(body.model), 0
    for name in clips_.generated_sets(body):
        for motion in clips_.load(name, body).motions():
            for qpos in motion:
                data.qpos[:] = qpos
                mujoco.mj_fwdPosition(body.model, data)
                rows = max(rows, data.nefc)
    assert not any(data.warning[int(kind)].number for kind in _OVERFLOWS)
    assert rows < 0.5 * WarpPhysics.MAX_CONSTRAINTS, rows
