"""The protocol: known answers, floors, divergence, what a run reports."""

from __future__ import annotations

import dataclasses
import json

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import pytest

import mimic_envs
from mimic_envs import bodies, controllers, scoring
from mimic_envs.clips import ClipSet
from mimic_envs.clips import load as load_clips
from mimic_envs.env import Environment
from mimic_envs.scoring import metrics
from mimic_envs.scoring.metrics import Trajectory


@pytest.fixture(scope="module")
def clips(body: bodies.Body) -> ClipSet:
    return load_clips("generated/tiny", body)


@pytest.fixture(scope="module")
def env(body: bodies.Body, clips: ClipSet) -> Environment:
    return mimic_envs.make(body, clips=clips, terminate=False)


def run(env: Environment, clips: ClipSet, name: str, seeds: int = 1) -> scoring.Results:
    return scoring.score(env, controllers.make(name, env), clips, "generated/tiny", seeds)


def replay(env: Environment, clip: int = 0) -> Trajectory:
    """The reference itself as what the body did."""
    length = int(env.clips.lengths[clip])
    return Trajectory(
        qpos=np.float64(env.clips.qpos[clip, 1:length]),
        qvel=np.float64(env.clips.qvel[clip, 1:length]),
        actions=np.zeros((length - 1, env.action_size)),
        diverged=np.zeros(length - 1, bool),
        crossed=np.zeros(length - 1, bool),
    )


def judged(env: Environment, trajectory: Trajectory, clip: int = 0) -> dict[str, float]:
    length = int(env.clips.lengths[clip])
    frames = metrics.frames(
        env.body, trajectory, env.clips.qpos[clip, 1:length], env.clips.qvel[clip, 1:length]
    )
    return metrics.clip_metrics(env.body, trajectory, frames)


def test_replayed_reference_scores_exactly_one(env: Environment) -> None:
    found = judged(env, replay(env))
    assert found["score"] == 1.0
    assert found["root_aligned_score"] == 1.0
    assert found["coverage"] == 1.0
    for name in metrics.ERRORS:
        assert found[name] == 0.0


def test_replay_through_the_environment_scores_one(env: Environment) -> None:
    """The task's own per-frame score of the reference as state is 1 as well."""
    state = env.reset(jax.random.key(0), clip=0, frame=0)
    target = env.task.command.reference.frame(jnp.int32(0), jnp.int32(7))
    physics = env.physics.reset(
        target.qpos, target.qvel, state.physics.act, target.xpos, target.xquat
    )
    place = dataclasses.replace(state.command, frame=jnp.int32(6))
    before = dataclasses.replace(state, command=place)
    advanced = env.conclude(before, physics, env.apply(state, state.action))
    assert float(advanced.metrics["score"]) == 1.0


def test_task_and_scorer_agree(env: Environment) -> None:
    """Float32 per-frame scores of the environment equal the float64 ones of the scorer."""
    controller = controllers.make("zero", env)
    trajectory = scoring.rollout(env, controller)[0]
    length = int(env.clips.lengths[0])
    frames = metrics.frames(
        env.body, trajectory, env.clips.qpos[0, 1:length], env.clips.qvel[0, 1:length]
    )
    state, step = env.reset(jax.random.key(0), clip=0, frame=0), jax.jit(Environment.step)
    for t in range(20):
        state = step(env, state, jnp.asarray(trajectory.actions[t], jnp.float32))
        assert float(state.metrics["score"]) == pytest.approx(frames["score"][t], abs=1e-5)
        angle = float(state.metrics["error/root_angle_deg"])
        assert angle == pytest.approx(frames["root_angle_deg"][t], abs=1e-2)
        rmse = float(state.metrics["error/joint_rmse_deg"])
        assert rmse == pytest.approx(frames["joint_rmse_deg"][t], abs=1e-3)


def needs_moving_root(env: Environment) -> None:
    if not env.body.root_joints:
        pytest.skip(f"{env.body.name} stands on a fixed base: it cannot be moved")


def test_saturation_is_that_of_the_worst_actuator_while_the_animal_stands(
    env: Environment,
) -> None:
    moved = replay(env)
    frames = len(moved.actions)
    moved.actions[: frames // 4, 0] = -1.0  # a quarter of all frames, a half of those covered
    moved.actions[: frames // 8, 1] = 1.0
    moved.actions[frames // 2 :, 2] = 1.0
    moved.crossed[frames // 2 :] = True
    assert judged(env, moved)["saturation_covered"] == pytest.approx(0.5, abs=2.5 / frames)


def test_the_median_of_end_effectors_is_a_distance(env: Environment) -> None:
    needs_moving_root(env)
    if not env.task.at.root_motion.free:
        pytest.skip("moved along the world's x axis")
    start = replay(env)
    qpos = start.qpos.copy()
    away = 0.1 * env.body.body_length
    qpos[: int(0.6 * len(qpos)), 0] += away
    found = judged(env, dataclasses.replace(start, qpos=qpos))
    assert found["end_effector_distance_median_covered"] == pytest.approx(away, rel=1e-6)
    assert found["end_effector_distance"] == pytest.approx(0.6 * away, rel=0.05)


def test_root_angle_of_40_degrees_reads_40(env: Environment) -> None:
    """A free root pitches, a planar one turns by its hinge."""
    needs_moving_root(env)
    start, turn = replay(env), np.zeros(env.body.model.nv)
    dofs = env.task.at.root_motion.dofs
    turn[4 if env.task.at.root_motion.free else dofs[-1]] = np.deg2rad(40)
    qpos = start.qpos.copy()
    for q in qpos:
        mujoco.mj_integratePos(env.body.model, q, turn, 1.0)
    found = judged(env, dataclasses.replace(start, qpos=qpos))
    assert found["root_angle_deg"] == pytest.approx(40, abs=1e-6)
    assert found["root_aligned_score"] == pytest.approx(1, abs=1e-6)


def test_score_of_a_known_offset(env: Environment) -> None:
    needs_moving_root(env)
    start = replay(env)
    qpos = start.qpos.copy()
    qpos[:, 0] += 0.1 * env.body.body_length
    found = judged(env, dataclasses.replace(start, qpos=qpos))
    assert found["score"] == pytest.approx(0.6, abs=1e-9)
    assert found["mpjpe"] == pytest.approx(0.1 * env.body.body_length, abs=1e-12)


def test_joint_velocity_error_is_a_root_mean_square(env: Environment) -> None:
    start, dofs = replay(env), env.task.at.tracked_dofs
    qvel = start.qvel.copy()
    qvel[:, dofs[0]] += 3
    qvel[:, dofs[1]] -= 4
    found = judged(env, dataclasses.replace(start, qvel=qvel))
    assert found["joint_velocity_rmse"] == pytest.approx(5 / np.sqrt(len(dofs)), abs=1e-6)


def test_effort_and_action_rate_of_a_known_ramp(env: Environment) -> None:
    start, model = replay(env), env.body.model
    steps, size = start.actions.shape
    actions = 0.9 * np.arange(steps)[:, None] / steps - 0.1 * np.arange(size) / size
    found = judged(env, dataclasses.replace(start, actions=actions))
    per_second = 0.9 / steps / env.body.control_timestep_s
    assert found["action_rate"] == pytest.approx(per_second, rel=1e-9)
    low, high = model.actuator_ctrlrange.T
    control = (low + high) / 2 + (high - low) / 2 * actions
    share = control / np.maximum(np.abs(low), np.abs(high))
    assert found["effort"] == pytest.approx(np.mean(share**2), rel=1e-6)


def test_frames_after_divergence_score_zero_and_cap_every_error(env: Environment) -> None:
    start = replay(env)
    length = len(start.qpos)
    diverged = np.arange(length) >= length // 2
    found = judged(env, dataclasses.replace(start, diverged=diverged))
    valid = 1 - diverged.mean()
    assert found["score"] == pytest.approx(valid)
    assert found["root_aligned_score"] == pytest.approx(valid)
    assert found["coverage"] == pytest.approx(valid)
    assert found["diverged"] == pytest.approx(1 - valid)
    caps = metrics.caps(env.body)
    length = env.body.body_length
    assert caps == dict(zip(metrics.ERRORS, (*[length] * 3, 180.0, 60.0, 60.0), strict=True))
    for name, cap in caps.items():
        assert found[name] == pytest.approx((1 - valid) * cap)
        assert found[f"{name}_covered"] == 0


def test_stopping_early_gains_nothing(env: Environment) -> None:
    """Divergence at any frame never beats tracking on with the worst error."""
    needs_moving_root(env)
    start = replay(env)
    far = start.qpos.copy()
    far[10:, 0] += 100.0
    lost = judged(env, dataclasses.replace(start, qpos=far))
    stopped = judged(env, dataclasses.replace(start, diverged=np.arange(len(far)) >= 10))
    assert stopped["score"] <= lost["score"]
    for name in ("mpjpe", "root_distance"):
        assert stopped[name] >= lost[name]


def test_a_failure_counts_to_the_end_where_the_task_scores_itself() -> None:
    no, scores = np.zeros(5, bool), np.float32([0.5, 0.6, 0.7, 0.8, 0.9])
    given = Trajectory(np.zeros((5, 1)), np.zeros((5, 1)), np.zeros((5, 1)), no, no, scores=scores)
    np.testing.assert_allclose(metrics.latched_frames(given)["score"], scores)
    for field in ("crossed", "diverged"):
        failed = dataclasses.replace(given, **{field: np.arange(5) == 2})
        found = metrics.latched_frames(failed)["score"]
        np.testing.assert_allclose(found, [0.5, 0.6, 0, 0, 0], rtol=1e-6)


class FallsApart:
    """A controller whose action is not a number from the tenth frame on, in clip 1."""

    name = "falls-apart"
    params = ()

    def act(self, params, state, key):
        bad = (state.command.clip == 1) & (state.command.frame >= 9)
        return jnp.where(bad, jnp.nan, jnp.zeros_like(state.action))


def test_divergence_in_a_run_harms_its_clip_only(env: Environment, clips: ClipSet) -> None:
    broken = scoring.score(env, FallsApart(), clips, "generated/tiny")
    zero = run(env, clips, "zero")
    assert broken.metrics["score"][0, 0] == zero.metrics["score"][0, 0]
    frames = broken.per_frame[0][1]["score"]
    assert (frames[:9] > 0).all()
    assert (frames[9:] == 0).all()
    assert broken.metrics["diverged"][0, 1] == pytest.approx(1 - 9 / len(frames))


def test_zero_scores_far_below_pd(body: bodies.Body) -> None:
    clips = load_clips("generated/test", body)
    env = mimic_envs.make(body, clips=clips, terminate=False)
    zero, pd = (run(env, clips, name).metrics for name in ("zero", "pd"))
    assert zero["score"].mean() < 0.5 * pd["score"].mean()
    assert (zero["score"] <= pd["score"] + 0.05).all()
    assert pd["joint_rmse_deg"].mean() < 0.25 * zero["joint_rmse_deg"].mean()


def test_a_run_can_be_repeated_exactly(env: Environment, clips: ClipSet) -> None:
    one, two = run(env, clips, "random", 2), run(env, clips, "random", 2)
    for name in one.metrics:
        np.testing.assert_array_equal(one.metrics[name], two.metrics[name])
    assert not np.array_equal(one.metrics["score"][0], one.metrics["score"][1])


def test_thread_count_does_not_change_a_score(
    body: bodies.Body, env: Environment, clips: ClipSet
) -> None:
    alone = mimic_envs.make(body, clips=clips, terminate=False, backend_options={"threads": 1})
    a, b = run(env, clips, "pd"), run(alone, clips, "pd")
    for name in a.metrics:
        np.testing.assert_array_equal(a.metrics[name], b.metrics[name])


def test_results_file(env: Environment, clips: ClipSet, tmp_path) -> None:
    results = run(env, clips, "zero")
    results.save(tmp_path / "deep" / "results.json")
    saved = json.loads((tmp_path / "deep" / "results.json").read_text())
    assert saved["score"] == results.score
    assert saved["score_ci95"] is None  # one run
    assert saved["score_worst_quarter"] <= saved["score"]
    assert saved["starts"]["count"] == 1
    assert saved["clips"]["sha256"] == clips.content_hash
    assert saved["clips"]["names"] == list(clips.names)
    assert saved["protocol"] == scoring.PROTOCOL
    assert len(saved["per_clip"]["score"][0]) == len(clips)
    assert {"mimic_envs", "mujoco", "jax"} <= saved["versions"].keys()
    assert saved["wall_time_s"] > 0
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["results.json"]


def test_ragged_clips_are_scored_to_their_own_end(body: bodies.Body) -> None:
    motions = load_clips("generated/tiny", body).motions()
    short = motions[1][: len(motions[1]) // 2]
    clips = ClipSet.from_motions(body, [motions[0], short], load_clips("generated/tiny", body).fps)
    env = mimic_envs.make(body, clips=clips, terminate=False)
    results = run(env, clips, "zero")
    lengths = [len(frames["score"]) for frames in results.per_frame[0]]
    assert lengths == [int(n) - 1 for n in env.clips.lengths]
    assert lengths[1] < lengths[0]


def test_other_backends_are_refused(body: bodies.Body, clips: ClipSet) -> None:
    env = mimic_envs.make(body, clips=clips, backend="mjx")
    with pytest.raises(ValueError, match="scores are taken on backend 'native', got 'mjx'"):
        run(env, clips, "zero")


def test_bad_seeds(env: Environment, clips: ClipSet) -> None:
    with pytest.raises(ValueError, match="seeds must be at least 1"):
        run(env, clips, "zero", seeds=0)


STARTS = scoring.Starts(3, initial_angle_noise_rad=0.02, initial_velocity_noise=0.2)


@pytest.fixture(scope="module")
def noisy(body: bodies.Body, clips: ClipSet) -> Environment:
    return mimic_envs.make(body, clips=clips, terminate=False, **STARTS.options)


class TestStarts:
    """Trials from several initial states."""

    def test_a_score_is_the_mean_over_starts(self, noisy: Environment, clips: ClipSet) -> None:
        pd = controllers.make("pd", noisy)
        found = scoring.score(noisy, pd, clips, starts=STARTS)
        every = scoring.rollout(noisy, pd, starts=STARTS)
        count = len(clips)
        assert len(every) == 3 * count
        own = [
            [judged(noisy, every[start * count + clip], clip)["score"] for start in range(3)]
            for clip in range(count)
        ]
        np.testing.assert_allclose(found.metrics["score"][0], np.mean(own, axis=1))
        np.testing.assert_array_equal(found.metrics["score_first_start"][0], [x[0] for x in own])
        assert all(len(set(x)) == 3 for x in own)  # no two starts are the same
        frames = found.per_frame[0][0]["score"]
        assert frames.mean() == pytest.approx(found.metrics["score"][0, 0])

    def test_starts_are_the_same_for_all_methods_and_seeds(self, noisy: Environment) -> None:
        qpos, qvel = scoring.protocol.initial_states(noisy, STARTS)
        clips, joints = noisy.clips, noisy.task.at.hinges
        assert (qpos[:, joints] != clips.qpos[:, 0, joints]).any(axis=1).all()
        noise = (qvel - clips.qvel[:, 0])[:, noisy.task.at.hinge_dofs]
        assert 0.1 < noise.std() < 0.3
        again = mimic_envs.make(noisy.body, clips=clips, terminate=False, **STARTS.options)
        np.testing.assert_array_equal(scoring.protocol.initial_states(again, STARTS)[0], qpos)
        one, two = (
            scoring.rollout(noisy, controllers.make("zero", noisy), seed, starts=STARTS)
            for seed in (0, 1)
        )
        np.testing.assert_array_equal(one[0].qpos, two[0].qpos)

    def test_an_environment_that_begins_otherwise_is_refused(
        self, env: Environment, clips: ClipSet
    ) -> None:
        with pytest.raises(ValueError, match="make it with these options"):
            scoring.score(env, controllers.make("zero", env), clips, starts=STARTS)
