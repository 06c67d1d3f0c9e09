"""What a page is made of: scenes, motions, series and their blobs."""

from __future__ import annotations

import base64
import dataclasses
import json
import pathlib
import re
import struct
import zlib

import mujoco
import numpy as np
import pytest

from mimic_envs import bodies, cli, viewer
from mimic_envs import clips as clips_
from mimic_envs.clips.kinematics import forward
from mimic_envs.viewer import blob, motion, scene, sources, trial
from mimic_envs.viz.render import floor_height
from tests.viewer import made


@pytest.fixture(scope="module")
def stick():
    return made.footfalls()


@pytest.fixture(scope="module")
def arm(tmp_path_factory):
    return made.network(tmp_path_factory.mktemp("policy"))


def unpack(data: bytes) -> dict:
    """A reader of blobs by their description in docs/viewer.md."""
    raw = zlib.decompress(data)
    (size,) = struct.unpack("<I", raw[:4])
    head = json.loads(raw[4 : 4 + size])
    for name, entry in head["arrays"].items():
        part = raw[4 + size + entry["start"] :][: entry["bytes"]]
        if entry["type"] != "q2":
            head["arrays"][name] = np.frombuffer(part, f"<{entry['type']}").reshape(entry["shape"])
            continue
        low, high = np.frombuffer(part, np.uint8).reshape(2, -1).astype(np.int64)
        steps = (low + 256 * high).reshape(entry["shape"])
        whole = np.cumsum(steps, axis=0).astype(np.uint16).view(np.int16)
        values = np.where(whole == blob.MISSING, np.nan, whole)
        head["arrays"][name] = values * np.array(entry["scale"]) + np.array(entry["offset"])
    return head


def test_a_blob_gives_back_what_was_put_in() -> None:
    rng = np.random.default_rng(0)
    walk = rng.normal(size=(200, 5, 3)).cumsum(axis=0)
    columns = rng.normal(size=(200, 4)) * [1e-6, 1, 1e6, 0] + [0, 5, -3e6, 7]
    columns[3, 1] = np.nan
    exact = {
        "a": np.arange(5, dtype=np.float32),
        "b": np.arange(3, dtype=np.uint8),
        "c": np.array([70_000], np.uint32),
        "d": np.zeros((0, 3), np.float32),
    }
    kept = {"walk": blob.quantized(walk), "columns": blob.quantized_columns(columns)}
    found = unpack(blob.pack({"name": "ä"}, exact | kept))
    assert found["name"] == "ä"
    for name, x in exact.items():
        np.testing.assert_array_equal(found["arrays"][name], x)
    largest = np.abs(walk).max() / blob.LARGEST / 2
    np.testing.assert_allclose(found["arrays"]["walk"], walk, atol=1.01 * largest, rtol=0)
    span = np.nanmax(columns, axis=0) - np.nanmin(columns, axis=0)
    error = np.abs(found["arrays"]["columns"] - columns)
    assert (np.nan_to_num(error) <= 1.01 * span / blob.LARGEST / 4 + 1e-12).all()
    np.testing.assert_array_equal(np.isnan(found["arrays"]["columns"]), np.isnan(columns))


def test_a_blob_becomes_a_statement_that_no_name_can_leave() -> None:
    script = blob.as_script('x");alert("', b"data")
    name, text = json.loads(f"[{script[len('mimicReplay(') : -3]}]")
    assert (name, base64.b64decode(text)) == ('x");alert("', b"data")


def test_a_scene_has_every_kind_of_shape() -> None:
    found = unpack(scene.pack(made.shapes_body()))
    arrays, model = found["arrays"], made.shapes_body().model
    kinds = arrays["shape_kind"]
    assert set(kinds) == set(range(6))
    assert len(kinds) == model.ngeom + 1  # and the site
    assert arrays["shape_collision"].sum() == 1
    assert found["meshes"] == 2
    plane = int(np.flatnonzero(kinds == scene.PLANE)[0])
    assert arrays["shape_tile"][plane] == pytest.approx(0.125)
    mean, other = arrays["shape_rgba"][plane], arrays["shape_rgba_other"][plane]
    assert mean[2] > 0.4  # red and blue
    assert other[2] == pytest.approx(1.0, abs=0.02) != other[0]
    assert [camera["name"] for camera in found["cameras"]] == ["above"]
    assert found["moving"] == [1]


def test_geoms_without_opacity_are_left_out() -> None:
    spec = made.shapes_spec()
    spec.geom("sphere").rgba = (1, 0, 0, 0)
    body = dataclasses.replace(made.shapes_body(), build_spec=lambda: spec)
    assert len(unpack(scene.pack(body))["arrays"]["shape_kind"]) == body.model.ngeom


def test_motion_is_forward_kinematics_with_contacts(stick) -> None:
    body = bodies.get("stick_insect")
    qpos = stick["qpos"].to_numpy()[:40]
    found = motion.compute(body, qpos)
    position, rotation = forward(body.model, qpos)
    np.testing.assert_allclose(found.position, position, atol=1e-12)
    same = np.abs((found.rotation * rotation).sum(axis=-1))
    np.testing.assert_allclose(same, 1, atol=1e-6)
    assert ((found.rotation[1:] * found.rotation[:-1]).sum(axis=-1) > 0).all()
    # a foot that carries weight touches there, where the floor is
    stands, limb = stick["contact"].to_numpy()[:40].astype(bool), 0
    touching = found.contact[:, 2]
    np.testing.assert_allclose(touching, floor_height(body.model), atol=0.02)
    for t, feet in enumerate(stands):
        here = found.contact_foot[found.contact_start[t] : found.contact_start[t + 1]]
        assert set(np.flatnonzero(feet)) <= set(here)
        limb += len(here)
    assert limb == len(found.contact) > 100


def test_frames_that_are_not_finite_repeat_the_one_before() -> None:
    body = made.shapes_body()
    qpos = np.tile(body.model.qpos0, (4, 1))
    qpos[1, 0], qpos[0, 0], qpos[2:, 0] = 2.0, np.nan, np.inf
    x = motion.compute(body, qpos).position[:, 1, 0]
    np.testing.assert_array_equal(x, [0, 2, 2, 2])


def test_a_trial_holds_what_was_recorded(stick) -> None:
    body = bodies.get("stick_insect")
    failing = stick.copy(deep=True)
    failing["failed"][57:60] = 1
    one, two = sources.dataset_trials(failing, body)
    found, rows = unpack(trial.pack(body, two)), slice(40, 80)
    assert (found["name"], found["frames"], found["fps"]) == ("two", 40, 100)
    assert (one.failed_at, found["failed"]) == (None, 17)
    np.testing.assert_array_equal(found["arrays"]["stance"], stick["contact"][rows])
    weight = stick.attrs["mass"] * stick.attrs["gravity"]
    force = stick["contact_force"].to_numpy()[rows] / weight
    np.testing.assert_allclose(found["arrays"]["force"], force, atol=1e-4 * np.abs(force).max())
    series = {(s["group"], s["name"]): s for s in found["series"]}
    values = found["arrays"]["series"]
    score = values[:, series["metrics", "score"]["column"]]
    np.testing.assert_allclose(score, stick["score"][rows], atol=1e-4)
    joint = body.hinge_names[3]
    angle = series["joint angles", joint]
    for column, name in ((angle["column"], "qpos"), (angle["reference"], "reference_qpos")):
        degrees = np.degrees(stick[name].sel(position=joint).to_numpy()[rows])
        np.testing.assert_allclose(values[:, column], degrees, atol=0.01)
    assert {"action", "contact forces", "controls", "metrics", "motion", "task"} <= {
        group for group, _ in series
    }


def test_layers_become_their_principal_components(arm) -> None:
    (one,) = sources.dataset_trials(arm, bodies.get("mouse_arm"))
    assert list(one.layers) == ["layer_0", "layer_1", "action_mean"]
    values = arm["network_layer_1"].to_numpy().astype(float)
    variances = np.linalg.svd(values - values.mean(axis=0))[1] ** 2
    np.testing.assert_allclose((one.layers["layer_1"] ** 2).sum(axis=0), variances[:2], rtol=1e-5)
    assert sources.components(np.ones((3, 1))).shape == (3, 2)
    assert one.activation.shape == (60, bodies.get("mouse_arm").model.na)


def test_fewer_frames(arm) -> None:
    (one,) = sources.dataset_trials(arm, bodies.get("mouse_arm"))
    thin = one.every(7)
    assert len(thin.qpos) == len(thin.series[0].values) == len(thin.stance) == 9
    assert thin.fps == pytest.approx(one.fps / 7)
    np.testing.assert_array_equal(thin.reference, one.reference[::7])


def test_a_clip_that_was_changed_has_its_recording_as_ghost() -> None:
    clips = clips_.load("generated/tiny", "stick_insect").select([0])
    moved = clips.qpos.copy()
    moved[..., 2] += 0.1
    changed = clips.replace_motion([moved[0, : clips.lengths[0]]], clips.fps)
    object.__setattr__(changed, "recording", clips)
    (plain,) = sources.clip_trials(clips)
    (one,) = sources.clip_trials(changed)
    assert plain.reference is None
    np.testing.assert_array_equal(one.reference, clips.qpos[0, : clips.lengths[0]])


def test_paths_of_muscles_are_those_of_mujoco() -> None:
    body = bodies.get("mouse_arm")
    qpos = clips_.load("generated/tiny", body).motions()[0][:5]
    found = motion.compute(body, qpos).tendon
    data = mujoco.MjData(body.model)
    data.qpos[:] = qpos[3]
    mujoco.mj_forward(body.model, data)
    lengths = np.linalg.norm(np.diff(found[3], axis=1), axis=-1).sum(axis=-1)
    np.testing.assert_allclose(lengths, data.ten_length, rtol=2e-3)  # arcs are drawn as chords


def test_wrong_requests_name_what_there_is(stick, tmp_path) -> None:
    clips = clips_.load("generated/tiny", "mouse_arm")
    with pytest.raises(ValueError, match="did you mean 'tiny_reach'"):
        viewer.from_clips(clips, ["tiny_reech"])
    with pytest.raises(ValueError, match="trial 'oen'; did you mean 'one'"):
        viewer.from_dataset(stick, names=["oen"])
    with pytest.raises(ValueError, match="every must be at least 1"):
        viewer.from_clips(clips, every=0)
    with pytest.raises(ValueError, match="another model"):
        viewer.from_dataset(stick, bodies.get("worm"))
    with pytest.raises(ValueError, match=r"ends in \.html"):
        viewer.from_clips(clips).save(tmp_path / "page.pdf")
    assert list(tmp_path.iterdir()) == []


def test_five_seconds_of_a_rat_take_less_than_two_megabytes() -> None:
    """In one file, with a reference, at the rate of the controller."""
    body = bodies.get("rodent")
    motions = clips_.resample(clips_.load("generated/test", body).select([2]), 100)
    qpos = motions.qpos[0][: int(motions.lengths[0])]
    assert len(qpos) >= 499
    series = tuple(trial.joint_angles(body, qpos, qpos[::-1]))
    one = trial.Trial("walk", "", 100.0, 0.0, qpos, qpos[::-1], series)
    page = viewer.Replay(body, "Rat", "", ["walk"], lambda: iter([one])).html()
    assert len(page.encode()) < 1_500_000


def test_the_command_makes_pages(tmp_path, capsys) -> None:
    source = ["generated/tiny", "--env", "mimic_envs/MouseArm-v1"]
    cli.main(["view", *source, "--out", str(tmp_path / "page.html"), "--every", "20"])
    assert (tmp_path / "page.html").read_text().startswith("<!doctype html>")
    cli.main(["view", *source, "--out", str(tmp_path / "page"), "--trials", "tiny_line"])
    names = {path.name for path in (tmp_path / "page").iterdir()}
    assert names == {"index.html", "scene.js", "trial-0.js", "viewer.css", "viewer.js"}
    assert "index.html (0." in capsys.readouterr().out


def test_the_command_records_what_it_shows(tmp_path) -> None:
    source = [
        "--env",
        "mimic_envs/MouseArm-v1",
        "--clips",
        "generated/tiny",
        "--controller",
        "zero",
    ]
    cli.main(["view", *source, "--trials", "tiny_reach", "--out", str(tmp_path / "page")])
    script = (tmp_path / "page" / "trial-0.js").read_text()
    _, text = json.loads(f"[{script.strip()[len('mimicReplay(') : -2]}]")
    found = unpack(base64.b64decode(text))
    assert found["name"] == "tiny_reach"
    assert "ghost_position" in found["arrays"]
    assert {"score", "reward"} <= {series["name"] for series in found["series"]}


def test_python_in_the_page_about_the_viewer_runs(tmp_path, monkeypatch) -> None:
    page = pathlib.Path(__file__).parents[2] / "docs" / "viewer.md"
    blocks = re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    for block in blocks:
        exec(block, names)
    assert names["page"].is_file()
    assert names["replay"]._repr_html_().startswith("<iframe srcdoc=")
