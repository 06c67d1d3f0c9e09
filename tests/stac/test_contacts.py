"""Feet on the floor after a fit."""

from __future__ import annotations

import numpy as np
import pytest
from test_fit import synthetic

from mimic_envs import bodies, stac
from mimic_envs.stac import contacts

QUICK = stac.Settings(sample_frames=48, threads=1)


@pytest.fixture(scope="module")
def fitted() -> stac.Registration:
    """A second of a walking stick insect, with noise of 1 % of its length and known offsets."""
    body = bodies.get("stick_insect")
    truth = synthetic(body, seed=2, most=60)
    offsets = {name: np.array(k.offset) for name, k in body.keypoints.items()}
    return stac.fit(truth.keypoints, body, scale=truth.scale, offsets=offsets, settings=QUICK)


def test_feet_are_put_on_the_floor(fitted, tmp_path) -> None:
    made, before, after = contacts.ground(fitted)
    assert after.penetration < before.penetration
    assert after.sliding < 0.2 * before.sliding
    assert before.residual == pytest.approx(10 * np.nanmean(fitted.residuals))
    assert after.residual < 1.5 * before.residual
    np.testing.assert_array_equal(made.clips.recorded.qpos, fitted.clips.qpos)
    assert any("feet were put on the floor" in text for text in made.judgement.reasons("note"))
    made.save(tmp_path / "c.h5", force=True)
    back = stac.Registration.load(tmp_path / "c.h5")
    np.testing.assert_array_equal(back.qpos, made.qpos)
    np.testing.assert_allclose(back.residuals, made.residuals, rtol=1e-5)


def test_an_arm_has_no_feet() -> None:
    short = synthetic(bodies.get("mouse_arm"), seed=1, most=20).keypoints
    arm = stac.fit(short, "mouse_arm", scale=1.0, settings=QUICK)
    with pytest.raises(ValueError, match="feet"):
        contacts.ground(arm)
