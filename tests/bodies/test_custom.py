"""Bodies of users: what is derived, what is refused, and what the check says."""

from __future__ import annotations

import dataclasses

import gymnasium
import jax
import mujoco
import numpy as np
import pytest

import mimic_envs
from mimic_envs import bodies, body_check, cli
from mimic_envs.clips import ClipSet, kinematics
from mimic_envs.clips.ground import ground
from mimic_envs.clips.ground_report import reports
from mimic_envs.mdp.balance import Balance

CRAWLER = """
<mujoco model='crawler'>
  <worldbody>
    {floor}
    <body name='trunk' pos='0 0 .15'>
      <freejoint name='root'/>
      <geom size='.05 .03' type='capsule' zaxis='1 0 0'/>
      <body name='leg_L' pos='.05 .05 0'>
        <joint name='hip_L' axis='0 1 0' range='-60 60' damping='.02'/>
        <geom type='capsule' size='.01' fromto='0 0 0 0 .02 -.1'/>
      </body>
      <body name='leg_R' pos='.05 -.05 0'>
        <joint name='hip_R' axis='0 1 0' range='-60 60' damping='.02'/>
        <geom type='capsule' size='.01' fromto='0 0 0 0 -.02 -.1'/>
        <body name='toe_R' pos='0 -.02 -.1'><geom size='.012'/></body>
      </body>
    </body>
  </worldbody>
  <actuator>
    <motor name='hip_L' joint='hip_L' gear='.2' ctrlrange='-1 1'/>
    <motor name='hip_R' joint='hip_R' gear='.2' ctrlrange='-1 1'/>
  </actuator>
</mujoco>"""
FLOOR = "<geom name='floor' type='plane' size='0 0 1'/>"


def spec(xml: str = CRAWLER, floor: str = FLOOR) -> mujoco.MjSpec:
    return mujoco.MjSpec.from_string(xml.format(floor=floor))


@pytest.fixture
def forget():
    """Undo registrations."""
    yield
    bodies.body._BODIES.pop("crawler", None)
    gymnasium.registry.pop("test_lab/Crawler-v0", None)


def test_defaults_come_from_the_model() -> None:
    body = bodies.describe("crawler", spec())
    assert body.root_body == "trunk"
    assert body.root_joints == ("root",)
    assert body.tracked_bodies == ("trunk", "leg_L", "leg_R", "toe_R")
    assert body.end_effectors == ("leg_L", "toe_R")
    assert body.tracked_joints == ("hip_L", "hip_R")
    assert body.body_length == pytest.approx(0.2, abs=0.05)
    assert body.control_timestep_s == pytest.approx(0.01)


def test_registered_body_makes_environments(forget, tmp_path) -> None:
    path = tmp_path / "crawler.xml"
    path.write_text(spec().to_xml())
    body = bodies.register("crawler", path, env_id="test_lab/Crawler-v0")
    assert "crawler" in bodies.names()
    time = np.arange(100) / 50
    qpos = np.tile(body.model.qpos0, (100, 1))
    qpos[:, 7:] = 0.3 * np.sin(2 * np.pi * time)[:, None]
    clips = ClipSet.from_motions("crawler", [qpos], 50, names=["wave"])
    clips.save(tmp_path / "wave.h5")
    env = gymnasium.make("test_lab/Crawler-v0", clips=str(tmp_path / "wave.h5"))
    env.reset(seed=0)
    assert env.action_space.shape == (2,)
    assert env.step(env.action_space.sample())[1] > 0
    many = gymnasium.make_vec("test_lab/Crawler-v0", num_envs=3, clips=str(tmp_path / "wave.h5"))
    assert many.reset(seed=0)[0].shape[0] == 3
    assert mimic_envs.make("crawler", clips=clips).action_size == 2


def test_registering_again_replaces_but_not_a_body_of_the_package(forget) -> None:
    bodies.register("crawler", spec())
    bodies.register("crawler", spec(), body_length=0.5)
    assert bodies.get("crawler").body_length == 0.5
    with pytest.raises(ValueError, match="'rodent' is taken"):
        bodies.register("rodent", spec())
    with pytest.raises(ValueError, match="letters, digits and underscores"):
        bodies.register("my crawler", spec())


def test_later_edits_of_the_spec_do_not_count() -> None:
    mine = spec()
    body = bodies.describe("crawler", mine)
    mine.body("trunk").pos = (0, 0, 9)
    assert body.model.body("trunk").pos[2] == pytest.approx(0.15)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tracked_bodies": ("leg_l",)}, "unknown tracked body 'leg_l'; did you mean 'leg_"),
        ({"tracked_joints": ("hip_X",)}, "unknown tracked joint 'hip_X'"),
        ({"tracked_joints": ("root",)}, "tracked joint 'root' is a root joint"),
        ({"end_effectors": ("toe",)}, "unknown end effector 'toe'; did you mean 'toe_R'"),
        ({"root_body": "trnk"}, "unknown root body 'trnk'; did you mean 'trunk'"),
        ({"root_body": "leg_L"}, r"carried by the joints \('hip_L',\).*choose another root"),
        ({"keypoints": {"A": bodies.Keypoint("x", (0, 0, 0))}}, "unknown keypoint's body 'x'"),
        ({"body_length": -1.0}, "body_length must be positive"),
    ],
)
def test_wrong_names_are_refused_with_the_nearest(change, message) -> None:
    with pytest.raises(ValueError, match=message):
        bodies.describe("crawler", spec(), **change)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (" ctrlrange='-1 1'", "", "actuator 'hip_L' has no control range"),
        ("<joint name='hip_L'", "<joint", "1 of 3 joints have no name, the first is number 1"),
        ("name='hip_L' joint=", "joint=", "1 of 2 actuators have no name"),
        ("name='hip_L' axis", "name='hip_L' type='ball' axis", "'hip_L' is a ball joint"),
    ],
)
def test_unusable_models_are_refused(old, new, message) -> None:
    xml = CRAWLER.replace(old, new)
    if "joints have" in message:
        xml = xml.replace("joint='hip_L' gear", "joint='hip_R' gear")
    if "ball" in message:
        xml = xml.replace("range='-60 60' damping='.02'", "range='0 60' damping='.02'", 1)
    with pytest.raises(ValueError, match=message):
        bodies.describe("crawler", spec(xml))


def test_missing_file_is_named(tmp_path) -> None:
    with pytest.raises(FileNotFoundError, match=r"none\.xml"):
        bodies.describe("crawler", tmp_path / "none.xml")


def levels(findings) -> dict[str, str]:
    return {found.subject: found.level for found in findings}


def test_check_is_content_with_a_good_model() -> None:
    body, findings = body_check.check("crawler", spec())
    assert body is not None
    assert set(levels(findings).values()) == {"ok"}
    assert {"root", "contacts", "backend mjx"} <= set(levels(findings))


def test_check_finds_everything_at_once() -> None:
    xml = CRAWLER.replace(" ctrlrange='-1 1'", "").replace("name='hip_R' joint=", "joint=")
    body, findings = body_check.check("crawler", spec(xml), tracked_bodies=["leg_M"])
    assert body is None
    said = " ".join(found.message for found in findings)
    for part in (
        "'hip_L' has no control range",
        "actuators have no name",
        "unknown tracked body 'leg_M'",
    ):
        assert part in said
    assert all(found.level == "error" for found in findings)


def test_check_warns_of_what_works_badly() -> None:
    _, findings = body_check.check("crawler", spec(floor=""))
    assert levels(findings)["floor"] == "warning"
    loose = CRAWLER.replace("range='-60 60' ", "", 1)
    _, findings = body_check.check("crawler", spec(loose))
    assert levels(findings)["joint limits"] == "warning"
    strong = CRAWLER.replace("gear='.2'", "gear='2e5'")
    _, findings = body_check.check("crawler", spec(strong))
    assert levels(findings)["2 s of random actions"] == "warning"
    implicit = CRAWLER.replace("<worldbody>", "<option integrator='implicit'/><worldbody>")
    _, findings = body_check.check("crawler", spec(implicit))
    assert levels(findings)["backend mjx"] == "warning"


def test_command(tmp_path, capsys) -> None:
    path = tmp_path / "crawler.xml"
    path.write_text(spec().to_xml())
    cli.main(["bodies", "check", str(path)])
    said = capsys.readouterr().out
    assert "end effectors: leg_L, toe_R" in said
    assert "mimic_envs.bodies.register('crawler'" in said
    with pytest.raises(SystemExit) as stopped:
        cli.main(["bodies", "check", str(path), "--root-body", "trnk"])
    assert stopped.value.code == 1
    assert "did you mean 'trunk'" in capsys.readouterr().out


def test_limits_of_a_fixed_base_say_nothing_of_the_root() -> None:
    xml = CRAWLER.replace("<freejoint name='root'/>", "")
    body = bodies.describe("arm", spec(xml))
    assert body.root_joints == ()
    assert body.limits.root_distance is None
    assert "root_position" not in body.tracking
    assert dataclasses.replace(body, name="other").model.nq == 2


class TestFeet:
    def test_an_own_body_can_be_grounded_and_balanced(self) -> None:
        feet, groups = ("leg_L", "toe_R"), {"both": ("leg_L", "toe_R")}
        body = bodies.describe(
            "crawler",
            spec(),
            feet=feet,
            gait_groups=groups,
            forward_axis=(1.0, 0.0, 0.0),
            usual_pose={"hip_L": 0.1},
        )
        assert (body.feet, dict(body.gait_groups), body.forward_axis) == (feet, groups, (1, 0, 0))
        qpos = np.tile(body.model.qpos0, (30, 1))
        qpos[:, 2] = 0.12 + 0.004 * np.sin(np.arange(30) / 5)  # legs reach 0.11 to 0.112 below
        floating = ClipSet.from_motions(body, [qpos], 50)
        grounded = ground(floating)
        (report,) = reports(grounded)
        assert abs(report.after.height) < 1.0 < report.before.height  # mm
        env = mimic_envs.make(body, clips=floating)
        assert np.isfinite(Balance(body).points(env.reset(jax.random.key(0)).physics)[0]).all()

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"feet": ("toe",)}, "unknown foot 'toe'; did you mean 'toe_R'"),
            ({"feet": ("toe_R",), "gait_groups": {"a": ("leg_L",)}}, "gait group 'a'.*'leg_L'"),
            ({"forward_axis": (2.0, 0.0, 0.0)}, "forward_axis must be a unit vector"),
            ({"usual_pose": {"hip": 0.1}}, "usual_pose: unknown joint 'hip'"),
        ],
    )
    def test_what_they_cannot_be(self, change, message) -> None:
        with pytest.raises(ValueError, match=message):
            bodies.describe("crawler", spec(), **change)

    def test_a_foot_must_touch(self) -> None:
        bare = spec(
            CRAWLER.replace(
                "<geom size='.012'/>", "<geom size='.012' contype='0' conaffinity='0'/>"
            )
        )
        with pytest.raises(ValueError, match="foot 'toe_R' has no geom that collides"):
            bodies.describe("crawler", bare, feet=("toe_R",))


SLIDES = "".join(
    f"<joint name='pelvis_{n}' type='{kind}' axis='{axis}'/>"
    for n, kind, axis in (
        ("tx", "slide", "1 0 0"),
        ("ty", "slide", "0 1 0"),
        ("tz", "slide", "0 0 1"),
        ("tilt", "hinge", "0 1 0"),
        ("list", "hinge", "1 0 0"),
        ("rotation", "hinge", "0 0 1"),
    )
)
OPENSIM = CRAWLER.replace("<freejoint name='root'/>", SLIDES).replace(
    "<actuator>", "<actuator><motor name='p' joint='pelvis_tx' ctrlrange='-1 1'/>"
)


class TestRoots:
    def test_slides_and_hinges_are_refused_when_described(self) -> None:
        with pytest.raises(ValueError, match=r"'pelvis_tx'.*free_root=True \(--free-root\)"):
            bodies.describe("person", spec(OPENSIM))
        _, found = body_check.check("person", spec(OPENSIM))
        assert any("--free-root" in finding.message for finding in found)

    def test_a_free_joint_takes_their_place(self) -> None:
        before = spec(OPENSIM).compile()
        body = bodies.describe("person", spec(OPENSIM), free_root=True)
        assert body.root_joints == ("root",)
        assert body.actuator_names == ("hip_L", "hip_R")
        qpos = np.random.default_rng(0).uniform(-0.5, 0.5, (5, before.nq))
        free = bodies.free_positions(before, qpos)
        ours = [kinematics.forward(m, q)[0] for m, q in ((before, qpos), (body.model, free))]
        np.testing.assert_allclose(*ours, atol=1e-6)

    def test_a_free_joint_is_not_replaced(self) -> None:
        with pytest.raises(ValueError, match="'trunk' has a free joint already"):
            bodies.describe("crawler", spec(), free_root=True)

    def test_a_nameless_root_is_one_clear_error(self) -> None:
        xml = CRAWLER.replace("<body name='trunk'", "<body")
        with pytest.raises(ValueError, match="the root body has no name: give it one"):
            bodies.describe("crawler", spec(xml))
        _, found = body_check.check("crawler", spec(xml))
        assert [f.level for f in found] == ["error"]

    def test_a_free_joint_is_asked_for(self) -> None:
        xml = CRAWLER.replace("<freejoint name='root'/>", "")
        leg = xml[xml.index("<body name='leg_L'") : xml.index("<body name='leg_R'")]
        third = leg.replace("_L", "_M")
        _, found = body_check.check("crawler", spec(xml.replace(leg, leg + third)))
        root = next(f for f in found if f.subject == "root")
        assert (root.level, "no free joint: add one?" in root.message) == ("warning", True)
        assert body_check.check_body(bodies.get("mouse_arm"))[1][0].level == "ok"
