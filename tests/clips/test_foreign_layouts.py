"""Motions in the formats of other software, made by their descriptions."""

from __future__ import annotations

import json

import mujoco
import numpy as np
import pytest

from mimic_envs import bodies
from mimic_envs.clips import import_clips, load

HUMANOID = """
<mujoco><worldbody>
  <body name="pelvis" pos="0 0 1"><freejoint name="root"/>
    <geom size="0.1" mass="5"/>
    <body name="thigh" pos="0 0 -0.1"><joint name="hip" axis="0 1 0"/><geom size="0.05" mass="1"/>
      <body name="shank" pos="0 0 -0.4"><joint name="knee" axis="0 1 0"/><geom size="0.05"/>
    </body></body>
  </body></worldbody>
  <actuator><motor name="hip" joint="hip" ctrlrange="-1 1"/></actuator>
</mujoco>
"""
PLANAR = HUMANOID.replace(
    '<freejoint name="root"/>',
    '<joint name="pelvis_tx" type="slide" axis="1 0 0"/><joint name="pelvis_tz" type="slide" '
    'axis="0 0 1"/><joint name="pelvis_tilt" axis="0 1 0"/>',
)


def body(xml: str = HUMANOID, **options) -> bodies.Body:
    return bodies.describe("person", mujoco.MjSpec.from_string(xml), **options)


class TestOpenSim:
    COLUMNS = ("time", "pelvis_tilt", "pelvis_tx", "pelvis_tz", "hip", "knee")

    def write(self, path, rows: np.ndarray, degrees: str = "yes", columns=COLUMNS) -> None:
        head = ["Coordinates", "version=1", f"nRows={len(rows)}", f"nColumns={len(columns)}"]
        head += [f"inDegrees={degrees}", "", "If the header above ...", "endheader"]
        lines = [*head, "\t".join(columns), *("\t".join(map(repr, r)) for r in rows.tolist())]
        path.write_text("\n".join(lines))

    def rows(self) -> np.ndarray:
        values = np.random.default_rng(0).normal(size=(6, 6)) * 0.1
        values[:, 0] = np.arange(6) / 100
        return values

    def test_degrees(self, tmp_path) -> None:
        rows = self.rows()
        self.write(tmp_path / "ik.mot", rows * [1, 57, 1, 1, 57, 57])
        clips, report = import_clips(tmp_path / "ik.mot", body(PLANAR))
        expected = np.radians(rows[:, [2, 3, 1, 4, 5]] * [0, 0, 57, 57, 57])
        expected[:, :2] = rows[:, [2, 3]]
        np.testing.assert_allclose(clips.motions()[0], expected, atol=1e-6)
        assert clips.fps == 100
        assert report.layout == "opensim"

    def test_states(self, tmp_path) -> None:
        rows = self.rows()
        names = [f"/jointset/some/{n}/value" for n in self.COLUMNS[1:]]
        speeds = [n.replace("value", "speed") for n in names] + ["/forceset/soleus/activation"]
        wide = np.concatenate([rows, np.ones((6, 6))], axis=1)
        self.write(tmp_path / "s.sto", wide, "no", ("time", *names, *speeds))
        clips, report = import_clips(tmp_path / "s.sto", body(PLANAR))
        np.testing.assert_allclose(clips.motions()[0], rows[:, [2, 3, 1, 4, 5]], atol=1e-6)
        assert "/forceset/soleus/activation" in report.unused

    def test_uneven_times(self, tmp_path) -> None:
        rows = self.rows()
        rows[3, 0] += 0.003
        self.write(tmp_path / "ik.mot", rows)
        with pytest.raises(ValueError, match=r"ik\.mot: times are not evenly spaced"):
            import_clips(tmp_path / "ik.mot", body(PLANAR))


BVH = """HIERARCHY
ROOT Hips
{{
  OFFSET 0 0 0
  CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation
  JOINT UpLeg
  {{
    OFFSET 0 -10 0
    CHANNELS 1 Xrotation
    JOINT Leg
    {{
      OFFSET 0 -40 0
      CHANNELS 1 Xrotation
      End Site
      {{
        OFFSET 0 -40 0
      }}
    }}
  }}
}}
MOTION
Frames: {count}
Frame Time: 0.02
{rows}
"""


def test_bvh(tmp_path) -> None:
    """y up becomes z up; an upright root stays upright, and a turn about y becomes one about z."""
    rows = ["10 90 20 0 0 0 5 -7", "10 90 20 0 0 90 5 -7"]
    (tmp_path / "walk.bvh").write_text(BVH.format(count=2, rows="\n".join(rows)))
    person = body(aliases={"UpLeg_Xrotation": "hip", "Leg_Xrotation": "knee"})
    clips, report = import_clips(tmp_path / "walk.bvh", person, unit="cm")
    still, turned = clips.motions()[0]
    np.testing.assert_allclose(still[:3], [0.1, -0.2, 0.9], atol=1e-6)
    np.testing.assert_allclose(still[3:7], [1, 0, 0, 0], atol=1e-6)
    np.testing.assert_allclose(np.abs(turned[3:7]), [0.5**0.5, 0, 0, 0.5**0.5], atol=1e-6)
    assert turned[3] * turned[6] > 0
    np.testing.assert_allclose(np.degrees(turned[7:]), [5, -7], atol=1e-4)
    assert (clips.fps, report.layout) == (50, "bvh")
    (tmp_path / "walk.bvh").write_text(BVH.format(count=3, rows="\n".join(rows)))
    with pytest.raises(ValueError, match="3 frames of 8 channels are declared, but 16 numbers"):
        import_clips(tmp_path / "walk.bvh", person, unit="cm")


@pytest.mark.parametrize("kind", ["typed", "untyped", "separate"])
def test_locomujoco(tmp_path, kind) -> None:
    person = body(PLANAR if kind == "separate" else HUMANOID)
    qpos = np.tile(person.model.qpos0, (9, 1)) + 0.1 * np.linspace(0, 1, 9)[:, None]
    if kind != "separate":
        qpos[:, 3:7] = [1, 0, 0, 0]
    arrays = {"split_points": np.array([0, 4, 9]), "frequency": np.array(50.0)}
    if kind == "separate":
        arrays |= {f"q_{n}": q for n, q in zip(person.joint_names, qpos.T, strict=True)}
        arrays |= {f"dq_{n}": q for n, q in zip(person.joint_names, qpos.T, strict=True)}
        del arrays["frequency"]
    else:
        arrays |= {"qpos": qpos, "joint_names": np.array(person.joint_names)}
    if kind == "typed":
        arrays["jnt_type"] = person.model.jnt_type
    np.savez(tmp_path / "walk.npz", **arrays)
    clips, report = import_clips(tmp_path / "walk.npz", person, fps=50)
    assert report.layout == "locomujoco"
    assert clips.lengths.tolist() == [4, 5]
    np.testing.assert_allclose(np.concatenate(clips.motions()), qpos, atol=1e-6)


def test_flygym(tmp_path) -> None:
    person = body()
    angles = np.random.default_rng(0).normal(size=(5, 2)).astype(np.float16)
    np.savez(
        tmp_path / "clip.npz",
        **{
            "dof_angles": angles[:, ::-1],
            "dof_order": ["knee", "hip"],
            "fps": 100,
            "unit": "radian",
        },
    )
    clips, report = import_clips(tmp_path / "clip.npz", person, unit="m", fill=True)
    np.testing.assert_allclose(clips.motions()[0][:, 7:], angles, atol=1e-3)
    assert (clips.fps, report.filled) == (100, ("root",))


@pytest.mark.parametrize("flat", [False, True])
def test_demo(tmp_path, flat) -> None:
    ours = load("generated/tiny", "rodent")
    content = {
        "metadata": {"mocap_hz": ours.fps},
        "clips": [
            {
                "id": i,
                "name": name,
                "num_frames": len(motion),
                "qpos": (motion.ravel() if flat else motion).tolist(),
                "qvel": [[0.0]],
            }
            for i, (name, motion) in enumerate(zip(ours.names, ours.motions(), strict=True))
        ],
    }
    (tmp_path / "clips.json").write_text(json.dumps(content))
    read, report = import_clips(tmp_path / "clips.json", "rodent", unit="m")
    assert read.names == ours.names
    assert report.layout == "demo"
    np.testing.assert_allclose(
        np.concatenate(read.motions()), np.concatenate(ours.motions()), atol=1e-6
    )
    (tmp_path / "clips.json").write_text(json.dumps(content)[:-40])
    with pytest.raises(ValueError, match=r"clips\.json: not a file of layout 'demo'"):
        import_clips(tmp_path / "clips.json", "rodent", unit="m")
