"""Worms that crawl forward and backward, curve and turn, on a path that friction dictates.

First the shape: a wave of bending runs along the worm, with the amplitudes of a recorded one.
Then the path, which follows from the shape alone. Something so slow does not coast: at every
instant it moves such that the friction at its contacts adds up to no force and no torque.
Of all velocities that the root could have, this is the one at which friction takes the least
power, the sum over the contacts of

    weight sqrt((mu_along v_along)^2 + (mu_across v_across)^2)

because the gradient of that is the force and the torque. Every contact carries the same weight,
as in the model. From the hinges of the published recording and the model's coefficients this
makes the recorded path: the head is 0.02 mm off on average, and 1.52 instead of 1.51 mm from
where it began at the end. (Viscous drag of the same anisotropy makes 0.74 mm of that.) In
physics, which has some inertia, worms pulled along these hinges go 0.9 to 1.2 times as far.

Nothing is random; clips differ by the parameters in `worm_recipes.py`.
"""

from __future__ import annotations

import mujoco
import numpy as np

from mimic_envs import bodies
from mimic_envs.bodies.worm import FRICTION_ACROSS, FRICTION_ALONG, REST_HEIGHT_MM
from mimic_envs.clips.generators import gait
from mimic_envs.clips.generators.worm_recipes import RECIPES as RECIPES
from mimic_envs.clips.generators.worm_recipes import Motion

FPS = 20.0
VERSION = 1

_SUBSTEPS = 5  # of the path per frame; twice as many move no clip's end by 0.001 mm
_SLOWEST_MMPS = 0.001  # slips slower than this meet proportionally less friction

# amplitude of the recorded wave along the worm, relative to its mean; place in body lengths
_PROFILE = ((0.0, 0.95), (0.05, 1.12), (0.4, 0.85), (0.65, 1.05), (0.9, 1.2), (1.0, 0.65))
_PLACES = np.linspace(0, 1, 24)  # of the hinges
_OMEGA_WIDTH = 0.2  # of the deep bend, in body lengths


def animate(motion: Motion) -> np.ndarray:
    """`qpos` of one clip, (T, nq)."""
    # two samples per substep: its start and its middle
    count = round(motion.seconds * FPS) * 2 * _SUBSTEPS + 1
    time = np.arange(count) / (2 * _SUBSTEPS * FPS)
    hinges = _shape(motion, time)
    root = Crawler(bodies.get("worm")).path(hinges[::2], hinges[1::2], 1 / (_SUBSTEPS * FPS))
    height = np.full(len(root), REST_HEIGHT_MM)
    qpos = np.column_stack([root[:, :2], height, root[:, 2], hinges[::2]])
    return qpos[::_SUBSTEPS]


def _shape(motion: Motion, time: np.ndarray) -> np.ndarray:
    """Angle of each hinge, (T, 24)."""
    frequency = gait.smooth_path(time, motion.frequency_hz)
    wave = gait.phase(frequency, 2 * _SUBSTEPS * FPS, motion.phase)
    profile = motion.amplitude_rad * np.interp(_PLACES, *np.transpose(_PROFILE))
    phase = wave[:, None] - _PLACES / motion.wavelength
    angles = profile * np.sin(2 * np.pi * phase)
    bias = gait.smooth_path(time, motion.bias_rad)[:, None]
    for start in motion.omega_s:
        bend = _omega_bend(motion, time, wave, start)
        angles = angles * (1 - 0.6 * bend) + motion.omega_rad * bend
    return angles + bias


def _omega_bend(motion: Motion, time: np.ndarray, wave: np.ndarray, start: float) -> np.ndarray:
    """How much of the deep bend each hinge shares in, 0 to 1, (T, 24).

    It runs down the worm with the first crest of the wave to that side that is still to come.
    """
    crest = 0.25 if motion.omega_rad > 0 else 0.75
    earliest = np.interp(start, time, wave) + 2 * _OMEGA_WIDTH / motion.wavelength
    centre = (wave - crest - np.ceil(earliest - crest)) * motion.wavelength
    bend = np.exp(-(((_PLACES - centre[:, None]) / _OMEGA_WIDTH) ** 2))
    return np.where(time[:, None] > start, bend, 0.0)


class Crawler:
    """Finds the path of the root from the angles of the hinges.

    Args:
        body: The worm.
    """

    def __init__(self, body: bodies.Body) -> None:
        self._model, self._data = body.model, mujoco.MjData(body.model)
        model = self._model
        self._capsules = np.unique(model.pair_geom2)
        self._root = [model.joint(name).dofadr[0] for name in ("root_x", "root_y", "root_yaw")]
        self._hinges = [model.joint(name).dofadr[0] for name in body.hinge_names]

    def path(
        self,
        hinges: np.ndarray,
        between: np.ndarray,
        timestep_s: float,
        start: np.ndarray | None = None,
    ) -> np.ndarray:
        """Root x, y in mm and heading in radians, (T, 3), by the midpoint rule.

        Args:
            hinges: Angle of each hinge at each instant, (T, 24).
            between: The same in the middle between two instants, (T - 1, 24).
            timestep_s: Time between two instants.
            start: Where the root is at first; the origin if not given.
        """
        root = np.zeros(3) if start is None else np.array(start, np.float64)
        path = [root]
        for now, middle, then in zip(hinges[:-1], between, hinges[1:], strict=True):
            velocity = self.velocity(root, now, (middle - now) / (0.5 * timestep_s))
            halfway = root + 0.5 * timestep_s * velocity
            velocity = self.velocity(halfway, middle, (then - now) / timestep_s)
            root = root + timestep_s * velocity
            path.append(root)
        return np.array(path)

    def velocity(self, root: np.ndarray, hinges: np.ndarray, rates: np.ndarray) -> np.ndarray:
        """Velocity of the root at which friction is balanced, (3,).

        Iteratively reweighted least squares on the power that friction takes.

        Args:
            root: x, y in mm and heading in radians, (3,).
            hinges: Angle of each hinge, (24,).
            rates: Angular velocity of each hinge, rad/s, (24,).
        """
        slip = self._slip_jacobian(root, hinges) * [[FRICTION_ALONG], [FRICTION_ACROSS]]
        of_root = slip[:, :, self._root]
        of_hinges = slip[:, :, self._hinges] @ rates
        weight = np.ones(len(slip))
        velocity = np.zeros(3)
        for _ in range(100):
            before = velocity
            normal = np.einsum("k,kia,kib->ab", weight, of_root, of_root)
            velocity = -np.linalg.solve(
                normal, np.einsum("k,kia,ki->a", weight, of_root, of_hinges)
            )
            if np.abs(velocity - before).max() < 1e-7:
                break
            slips = of_root @ velocity + of_hinges
            weight = 1 / np.sqrt((slips**2).sum(axis=1) + (FRICTION_ALONG * _SLOWEST_MMPS) ** 2)
        return velocity

    def _slip_jacobian(self, root: np.ndarray, hinges: np.ndarray) -> np.ndarray:
        """Velocity of each contact along and across its capsule, by dof, (2 capsules, 2, nv)."""
        model, data = self._model, self._data
        data.qpos[:] = [*root[:2], REST_HEIGHT_MM, root[2], *hinges]
        mujoco.mj_kinematics(model, data)
        mujoco.mj_comPos(model, data)
        jacobian = np.zeros((3, model.nv))
        rows = []
        for geom in self._capsules:
            along = data.geom_xmat[geom].reshape(3, 3)[:, 2]
            across = np.array([-along[1], along[0], 0.0])
            for end in (-1, 1):
                point = data.geom_xpos[geom] + end * model.geom_size[geom, 1] * along
                mujoco.mj_jac(model, data, jacobian, None, point, model.geom_bodyid[geom])
                rows.append([along @ jacobian, across @ jacobian])
        return np.array(rows)
