"""Behavioral tasks on the plane: what holds for all of them, and known answers of each."""

from __future__ import annotations

import dataclasses
import math
import pathlib

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import pytest
import scipy.optimize

import mimic_envs
from mimic_envs import bodies, tasks
from mimic_envs.env import Environment, State
from mimic_envs.mdp import heading, terminations
from mimic_envs.tasks import forage, push, registry, thermotaxis, two_touch
from tests.tasks.behavior import SERVED, began, concluded, driven, made, placed

ALL = [(task, body) for task, served in SERVED.items() for body in served]


def test_every_behavioral_task_is_tested_here() -> None:
    assert {*SERVED, "imitation"} <= set(registry.TASKS)


@pytest.mark.parametrize(("task", "body"), ALL)
def test_proprioception_is_that_of_imitation(task: str, body: str) -> None:
    """Entry by entry, so that a decoder fits all tasks of a body, and without goals in it."""
    imitation = made(body, "imitation", clips="generated/tiny")
    own = made(body, task)
    assert list(own.task.observations) == ["proprioception", "task"]
    assert own.task.observations["proprioception"] == imitation.task.observations["proprioception"]
    ours, theirs = own.observation_layout(), imitation.observation_layout()
    names = [name for name in theirs if name.startswith("proprioception/")]
    assert [ours[name] for name in names] == [theirs[name] for name in names]
    goals = {id(row.function) for row in own.task.observations["task"].values()}
    assert not goals & {id(r.function) for r in own.task.observations["proprioception"].values()}


@pytest.mark.parametrize("task", sorted(SERVED))
def test_other_bodies_are_refused_with_the_reason(task: str) -> None:
    for body in set(bodies.names()) - set(SERVED[task]):
        with pytest.raises(ValueError, match=f"task '{task}' .*body '{body}'"):
            tasks.make(task, bodies.get(body), "torque", {})


@pytest.mark.parametrize(("task", "body"), ALL)
def test_trials_can_be_chosen_and_leave_nothing_to_chance(task: str, body: str) -> None:
    env, expected = made(body, task), {"velocity": 16, "push": 48, "goto": 12, "reach": 16}
    trials = env.task.command.trials
    expected |= {"forage": 8, "thermotaxis": 16, "two_touch": 8}
    assert len(trials) == expected[task]
    chosen = [env.task.command.condition(**given) for given, _ in trials.values()]
    both = jax.tree.map(lambda *x: jnp.stack(x), *chosen)
    begin = jax.vmap(env.task.command.begin, (None, 0, None))
    one, other = (begin(jax.random.key(seed), both, ()) for seed in (0, 1))
    jax.tree.map(np.testing.assert_array_equal, one, other)
    free = jax.tree.map(jnp.asarray, env.task.command.condition())
    drawn = [env.task.command.begin(jax.random.key(seed), free, ()) for seed in (0, 1)]
    assert any(not np.array_equal(a, b) for a, b in zip(*map(jax.tree.leaves, drawn), strict=True))


@pytest.mark.parametrize("task", sorted(SERVED))
def test_states_have_strong_types_that_stay(task: str) -> None:
    """So that they can be scanned and mixed, whatever the settings of JAX."""
    env = made(SERVED[task][-1], task)
    key = jax.ShapeDtypeStruct((2,), jnp.uint32)
    state = jax.eval_shape(env.reset, key)
    action = jax.ShapeDtypeStruct((env.action_size,), jnp.float32)
    after, _ = jax.eval_shape(Environment.step_autoreset, env, state, action)
    for path, x in jax.tree_util.tree_leaves_with_path((state, after)):
        name = jax.tree_util.keystr(path)
        assert str(x.dtype) in ("float32", "int32", "uint32", "bool"), (name, x.dtype)
        assert not x.weak_type, name
    assert jax.tree.structure(state) == jax.tree.structure(after)
    for a, b in zip(jax.tree.leaves(state), jax.tree.leaves(after), strict=True):
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
    with jax.enable_x64(True):
        assert jax.eval_shape(env.reset, key).command == state.command


def test_the_page_about_behavior_lists_tasks_bodies_trials_conditions_and_options() -> None:
    page = (pathlib.Path(__file__).parents[2] / "docs" / "behavior.md").read_text()
    lines = [[cell.strip() for cell in x.split("|")[1:-1]] for x in page.splitlines() if "|" in x]
    tasks_of = {line[0].strip("`"): line for line in lines if len(line) == 9}
    anchors = {(line[0].strip("`"), line[1]) for line in lines if len(line) == 5}
    paces = {line[0]: line[1:] for line in lines if len(line) == 4}
    short = {line[0].strip("`"): line[1] for line in lines if len(line) == 2}
    for task, served in SERVED.items():
        command = made(served[0], task).task.command
        assert tasks_of[task][1] == ", ".join(served)
        assert tasks_of[task][-1].startswith(str(len(command.trials)))
        for name in set(command.conditions) - {"start", "heading"}:
            also = short["velocity"] if task == "push" else ""
            assert f"`{name}`" in short[task] + also, (task, name)
        for field in dataclasses.fields(registry.find(task)[1].Options):
            assert f"| `{field.name}` |" in page, field.name
        for body in served:
            pace = bodies.get(body).pace
            assert pace is None or f"{pace.forward:g}" in paces[body][0].replace(".0 ", " ")
    assert anchors >= {("velocity", "rodent"), ("reach", "mouse_arm")}


@pytest.mark.parametrize("body", SERVED["goto"])
def test_animals_begin_on_the_floor_with_the_heading_that_is_chosen(body: str) -> None:
    env = made(body, "velocity")
    state = began(env, heading=2.0)
    assert float(state.command.track.angle) == pytest.approx(2.0, abs=1e-4)
    np.testing.assert_allclose(state.command.track.place, 0.0, atol=1e-4 * env.body.body_length)
    data = mujoco.MjData(env.body.model)
    data.qpos[:] = np.asarray(state.physics.qpos, np.float64)
    mujoco.mj_kinematics(env.body.model, data)
    np.testing.assert_allclose(state.physics.xpos, data.xpos, atol=1e-5 * env.body.body_length)
    turns = np.abs(np.sum(state.physics.xquat * data.xquat, axis=-1))[1:]
    np.testing.assert_allclose(turns, 1.0, atol=1e-5)
    data.qpos[2] -= 0.01 * env.body.body_length
    mujoco.mj_fwdPosition(env.body.model, data)
    assert data.ncon > 0  # a hundredth of a body length lower it is in the floor


def test_episodes_can_begin_in_the_first_frames_of_clips() -> None:
    env = made("stick_insect", "goto", start_clips="generated/tiny")
    starts = env.task.command.starts
    clips = mimic_envs.make("stick_insect", clips="generated/tiny").clips
    assert starts.count == 1 + len(clips)
    state = began(env, start=1, heading=-1.0)
    assert state.physics.qpos[7:].tolist() == clips.qpos[0, 0, 7:].tolist()
    assert np.linalg.norm(state.physics.qvel[:2]) == pytest.approx(
        np.linalg.norm(clips.qvel[0, 0, :2]), rel=1e-4
    )
    context = env._context(state.physics, state.command, state.steps)
    assert float(heading.angle(context)) == pytest.approx(-1.0, abs=1e-4)
    np.testing.assert_allclose(heading.place(context)[:2], 0.0, atol=1e-4)


def test_bad_options_and_choices_are_refused() -> None:
    for options, message in (
        ({"episode_s": -1.0}, "episode_s must be .* positive number"),
        ({"hold": 1.0}, "did you mean 'hold_s'"),
        ({"still_share": 2.0}, "still_share must be a number between 0 and 1"),
        ({"start_clips": "generated/trian"}, "did you mean 'generated/train'"),
    ):
        with pytest.raises(ValueError, match=message):
            tasks.make("velocity", bodies.get("stick_insect"), "torque", options)
    with pytest.raises(ValueError, match="did you mean 'velocity'"):
        mimic_envs.make("stick_insect", task="velocty")
    command = made("stick_insect", "velocity").task.command
    for chosen, message in (
        ({"forward": 9.0}, "'forward' must be a number between 0 and 4, got 9"),
        ({"turn": "left"}, "'turn' must be a number between -0.7 and 0.7, got 'left'"),
        ({"start": 3}, "'start' must be an integer between 0 and 0"),
        ({"foward": 1.0}, "did you mean 'forward'"),
    ):
        with pytest.raises(ValueError, match=message):
            command.condition(**chosen)
    with pytest.raises(ValueError, match="'target' must be an integer between 0 and 7, got 8"):
        made("mouse_arm", "reach").task.command.condition(target=8)


# Velocity


@pytest.mark.parametrize("body", ["stick_insect", "worm"])
def test_an_animal_that_goes_as_asked_scores_1(body: str) -> None:
    env = made(body, "velocity")
    pace = env.body.pace
    assert pace is not None
    v, w = 0.8 * pace.forward, -0.5 * pace.turn
    state = began(env, forward=v, turn=w)
    steps = round(8 * (0.2 if env.body.feet else 1.0) / env.body.control_timestep_s)
    state, metrics = driven(env, state, jnp.float32(v), jnp.float32(w), steps)
    assert float(metrics["score"][-1]) > 0.99
    assert float(metrics["reward"][-1]) > 0.99
    np.testing.assert_allclose(state.command.track.velocity, [v, 0.0, w], atol=2e-3 * pace.forward)
    observed = state.obs["task"]
    np.testing.assert_allclose(observed, [0.8, -0.5, 0.8, 0.0, -0.5], atol=5e-3)
    assert float(metrics["score"][0]) < 0.4  # it began at rest
    assert not metrics["limit/fallen"].any()


def test_a_standing_animal_scores_what_the_formula_says() -> None:
    env = made("stick_insect", "velocity")
    command = env.task.command
    still, step = jnp.float32(0), 3
    for v, w, expected in ((0.0, 0.0, 1.0), (1.0, 0.0, 0.5), (2.0, 0.0, 0.0), (0.0, 0.35, 0.5)):
        state = began(env, forward=v, turn=w)
        _, metrics = driven(env, state, still, still, step)
        assert float(metrics["score"][-1]) == pytest.approx(expected, abs=1e-3)
    drawn = jax.vmap(lambda key: command.begin(key, command.condition(), ()))
    asked = drawn(jax.random.split(jax.random.key(0), 4096)).commands[:, 0]
    e = jnp.linalg.norm(asked / jnp.array([2.0, 0.7]), axis=-1)
    assert float(jnp.mean(e == 0)) == pytest.approx(0.1, abs=0.02)
    score = 1 - jnp.minimum(e, 1)
    reward = jnp.mean(0.7 * jnp.exp(-0.5 * (e / 0.4) ** 2) + 0.3 * score)
    assert float(reward) < 0.3  # standing still earns less than a third
    assert float(jnp.mean(score)) < 0.3


def test_the_command_switches_and_a_sideways_walk_is_an_error() -> None:
    env = made("stick_insect", "velocity", hold_s=0.1, episode_s=0.4)
    state = began(env, forward=1.0, turn=0.0, then_forward=3.0, heading=0.0)
    assert state.command.commands.shape == (4, 2)
    seen = []
    for i in range(12):
        place = jnp.array([0.0, 0.02 * (i + 1)])  # to the left, 2 cm/s
        state = placed(env, state, place, jnp.float32(0))
        seen.append(float(state.obs["task"][0]))
    assert seen == pytest.approx([0.25] * 9 + [0.75] * 3)
    filtered = 2.0 * (1 - math.exp(-0.12 / 0.2))
    assert float(state.metrics["error/lateral"]) == pytest.approx(filtered, rel=1e-3)
    assert float(state.metrics["error/forward"]) == pytest.approx(-3.0, abs=1e-3)


@pytest.mark.parametrize("name", ["rodent", "fly", "stick_insect"])
def test_a_fall_is_a_tilt_or_a_low_root_above_the_ground_below(name: str) -> None:
    body = bodies.get(name)
    env = made(name, "velocity")
    state = began(env, heading=0.4)
    context = env._context(state.physics, state.command, state.steps)
    fallen = terminations.fallen(body)
    at = context.at

    def judged(test: terminations.Fallen, lift: float = 0.0, roll_deg: float = 0.0) -> bool:
        half = math.radians(roll_deg) / 2
        turn = jnp.array([math.cos(half), math.sin(half), 0.0, 0.0])
        xpos = context.physics.xpos.at[at.root, 2].add(lift)
        xquat = context.physics.xquat.at[at.root].set(turn)
        physics = dataclasses.replace(context.physics, xpos=xpos, xquat=xquat)
        return bool(test(dataclasses.replace(context, physics=physics)))

    assert not judged(fallen)
    assert [judged(fallen, roll_deg=a) for a in (-61, -59, 59, 61, 180)] == [
        *(True, False, False, True, True)
    ]
    margin = 0.5 * (float(context.root_position[2]) - fallen.ground.height)
    assert [judged(fallen, lift=-x * margin) for x in (0.99, 1.01)] == [False, True]
    hill = dataclasses.replace(fallen, ground=terminations.Level(fallen.ground.height + margin))
    assert judged(hill, lift=-0.01 * margin)
    assert not judged(hill, lift=0.01 * margin)
    assert not judged(terminations.fallen(body, by_tilt=False), roll_deg=180)


# Go to


def test_an_animal_at_the_place_scores_1_and_loses_it_when_it_leaves() -> None:
    env = made("stick_insect", "goto")
    length, angle = env.body.body_length, 0.5
    state = began(env, distance=2.0, bearing=1.0, heading=angle)
    np.testing.assert_allclose(
        state.obs["task"], [0.4, math.cos(1.0), math.sin(1.0)], atol=1e-4
    )  # to the left
    goal = np.asarray(state.command.goal)
    direction = goal / np.linalg.norm(goal)
    assert np.linalg.norm(goal) == pytest.approx(2 * length, rel=1e-5)
    for away, score, success in (
        (2.0, 0.0, 0.0),
        (1.0, 0.5, 0.0),
        (0.26, 0.87, 0.0),
        (0.24, 1.0, 1.0),
        (0.0, 1.0, 1.0),
        (1.5, 0.25, 1.0),
        (3.0, 0.0, 1.0),
    ):
        place = jnp.asarray(goal - away * length * direction, jnp.float32)
        state = placed(env, state, place, jnp.float32(angle))
        assert float(state.metrics["score"]) == pytest.approx(score, abs=1e-3), away
        assert float(state.metrics["success"]) == success
        assert float(state.metrics["error/distance"]) == pytest.approx(away * length, abs=1e-3)
    assert float(state.metrics["reward/progress"]) == -0.5  # it went away at once
    state = placed(env, state, jnp.asarray(goal), jnp.float32(angle))
    assert float(state.reward) == pytest.approx(1.0, abs=1e-4)


# Forage


def test_treats_are_eaten_once_and_score() -> None:
    env = made("worm", "forage")
    state = began(env, layout=2, heading=0.0)
    places = np.asarray(state.command.places)
    np.testing.assert_allclose(places, forage.LAYOUTS[2] * 6.0, rtol=1e-5)
    assert float(state.command.scent) > 0
    root = np.asarray(state.physics.xpos[env.task.at.root][:2])
    for number, treat in enumerate(places):
        near = jnp.asarray(treat - root, jnp.float32)
        state = placed(env, state, near, jnp.float32(0))
        eaten = number + 1
        assert float(state.metrics["score"]) == pytest.approx(eaten / 5), number
        assert float(state.reward) == 1.0
        state = placed(env, state, near, jnp.float32(0))
        assert float(state.reward) == 0.0
    assert float(state.metrics["success"]) == 1.0
    assert float(state.obs["task"][0]) == 0.0
    assert (np.linalg.norm(forage.LAYOUTS, axis=-1) <= 1).all()


# Thermotaxis


def test_temperature_is_that_of_the_head_and_fields_lead_to_the_goal() -> None:
    for field in range(len(thermotaxis.FIELDS)):
        along = [
            float(thermotaxis.temperature(jnp.int32(field), jnp.array([x, 0.0])))
            for x in np.linspace(-5, 5, 21)
        ]
        assert along[-1] == pytest.approx(23.0, abs=1e-4)
        assert (np.diff(along) > 0).sum() >= 10
        assert 15 <= min(along) < 21
    env = made("worm", "thermotaxis")
    state = began(env, field=0, heading=0.0)
    head = float(state.physics.xpos[env.body.body_names.index("torso1_body"), 0])
    assert head > -4.7  # half a worm ahead of its middle, which is at -5
    expected = 23.0 + 0.5 * (head - 5.0)
    assert float(state.command.difference) + 23.0 == pytest.approx(expected, abs=1e-3)
    back = placed(env, state, jnp.array([-5.0, 0.0]), jnp.float32(math.pi))
    colder = float(back.command.difference - state.command.difference)
    assert colder == pytest.approx(-(head + 5.0), abs=1e-3)  # the middle stayed where it was
    assert float(back.reward) < 0
    ahead = jnp.array([5.0 - (head + 5.0), 0.0])
    there = placed(env, back, ahead, jnp.float32(0))
    assert float(there.metrics["score"]) == pytest.approx(1.0, abs=1e-3)
    assert float(there.metrics["success"]) == 1.0
    # the sensor lags by 1 s: after 0.05 s it has made 5 % of the way
    way = float(there.command.sensed - back.command.sensed) / (23.0 - float(back.command.sensed))
    assert way == pytest.approx(1 - math.exp(-0.05), rel=1e-3)


# Two-touch


def test_the_second_touch_counts_in_its_window_only() -> None:
    command = made("rodent", "two_touch").task.command
    env = made("rodent", "two_touch")
    state = began(env, distance=0.5, bearing=0.0, heading=0.0)
    context = env._context(state.physics, state.command, state.steps)
    update, asked = jax.jit(command.update), state.command
    hand = command.hands[1]

    def advanced(asked: two_touch.Touches, touch: bool) -> two_touch.Touches:
        where = asked.orb if touch else jnp.zeros(3)
        xpos = context.physics.xpos.at[hand].set(where)
        physics = dataclasses.replace(context.physics, xpos=xpos)
        return update(asked, dataclasses.replace(context, physics=physics))

    for pause, right, succeeded in (  # in control steps of 0.01 s
        *((80, 2, True), (70, 2, True), (90, 2, True)),
        *((69, 1, False), (91, 2, False)),  # too late: it begins the next pair
    ):
        seen = asked
        for step in range(pause + 1):
            seen = advanced(seen, step in (0, pause))
        assert (int(seen.right), bool(seen.succeeded)) == (right, succeeded), pause
    for step in range(60):  # without waiting, of each pair the first touch is right
        asked = advanced(asked, step % 2 == 0)
    assert (int(asked.pairs), int(asked.right)) == (two_touch.PAIRS, two_touch.PAIRS)


# Push


def test_a_push_changes_the_momentum_by_its_impulse() -> None:
    env = made("stick_insect", "push")
    command, model = env.task.command, env.body.model
    state = began(env, impulse=0.4, direction=math.pi / 2, heading=0.3).command
    steps = round(push.AT_S / env.body.control_timestep_s)
    around = jnp.arange(steps - 1, steps + 2)
    forces = jax.vmap(lambda i: command.force(state._replace(step=i)))(around)
    total = np.asarray(forces)[:, :, :3].sum(axis=1) * env.body.control_timestep_s
    unit = model.body_mass.sum() * math.sqrt(981.0 * env.body.body_length)
    left = 0.3 + math.pi / 2
    expected = 0.4 * unit * np.array([math.cos(left), math.sin(left), 0.0])
    np.testing.assert_allclose(total, [[0, 0, 0], expected, [0, 0, 0]], rtol=1e-4, atol=1e-6)
    assert len({name.split("_at_")[0] for name in command.trials}) == 6
    late = steps + round(push.RECOVERY_S / env.body.control_timestep_s)
    judged = [
        bool(command.goal(state._replace(step=jnp.int32(step), fell=jnp.array(fell))).recovered)
        for step, fell in ((late - 1, False), (late, False), (late, True))
    ]
    assert judged == [False, True, False]


def test_a_fall_is_remembered_by_a_push() -> None:
    env = made("stick_insect", "push")
    state = began(env, forward=0.0, turn=0.0, heading=0.0)
    state = placed(env, state, jnp.zeros(2), jnp.float32(0))
    assert not bool(state.command.fell)
    lying = env.task.command.starts.start(0, jnp.float32(0))
    qpos = lying.qpos.at[3:7].set(jnp.array([0.0, 1.0, 0.0, 0.0]))  # on its back
    physics = env.physics.reset(qpos, lying.qvel, jnp.zeros(env.body.model.na))
    state = jax.jit(concluded)(env, state, physics)
    assert bool(state.terminated)
    assert bool(state.command.fell)
    up = placed(env, state, jnp.zeros(2), jnp.float32(0))
    assert not bool(up.terminated)
    assert bool(up.command.fell)


# Reach


def hand_at(target: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Angles of the mouse's forelimb, within their limits, with the hand at a place."""
    body = bodies.get("mouse_arm")
    model, hand = body.model, body.body_names.index("hand")
    data = mujoco.MjData(model)

    def away(angles: np.ndarray) -> np.ndarray:
        data.qpos[:] = angles
        mujoco.mj_kinematics(model, data)
        return 1e3 * (data.xpos[hand] - target)

    low, high = model.jnt_range.T + 1e-6 * np.array([[1], [-1]])
    return scipy.optimize.least_squares(away, np.clip(start, low, high), bounds=(low, high)).x


def test_a_hand_at_the_target_scores_1_and_reaches_it_after_100_ms() -> None:
    env = made("mouse_arm", "reach")

    @jax.jit
    def held(env: Environment, state: State, qpos: jax.Array) -> State:
        physics = env.physics.reset(qpos, jnp.zeros(4), jnp.zeros(env.body.model.na))
        return concluded(env, state, physics)

    middle = np.zeros(4)
    for i, target in enumerate(env.body.targets):
        state = began(env, target=i, then_target=(i + 1) % 8, start=0)
        first = np.linalg.norm(np.array(target) - state.physics.xpos[-1])
        assert np.linalg.norm(state.obs["task"]) * 0.0136 == pytest.approx(first, rel=1e-4)
        qpos = jnp.asarray(hand_at(np.array(target), middle), jnp.float32)
        reached = []
        for _ in range(21):
            state = held(env, state, qpos)
            reached.append(float(state.metrics["success"]))
        assert float(state.metrics["score"]) > 0.999, i  # all eight can be reached
        assert float(state.reward) > 0.998
        assert reached == [0.0] * 19 + [1.0] * 2
    steps = env.task.command.hold - 21
    for _ in range(steps):
        state = held(env, state, qpos)
    assert float(state.metrics["success"]) == 0.0  # another target
    chord = 2 * 5.0 * math.sin(math.pi / 8)
    expected = 1 - chord / 13.6
    assert float(state.metrics["score"]) == pytest.approx(expected, abs=1e-3)
    assert not bool(state.truncated)
