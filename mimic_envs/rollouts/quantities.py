"""Physical quantities of a simulated animal, from `MjData`."""

from __future__ import annotations

from collections.abc import Sequence

import mujoco
import numpy as np

from mimic_envs import bodies
from mimic_envs.rollouts.variables import STANCE


class Quantities:
    """Reads variables of a dataset, see `variables.GROUPS`, from a simulation.

    Args:
        body: The body.
        model: Of the simulation, with sensors.
        groups: Names of groups.
    """

    def __init__(
        self, body: bodies.Body, model: mujoco.MjModel, groups: Sequence[str] = ()
    ) -> None:
        self._body, self._model, self._groups = body, model, tuple(groups)
        names = list(body.body_names)
        joints = [i for i in range(model.njnt) if body.joint_names[i] not in body.root_joints]
        single = [i for i in joints if model.jnt_type[i] >= int(mujoco.mjtJoint.mjJNT_SLIDE)]
        self._positions, self._dofs = model.jnt_qposadr[single], model.jnt_dofadr[single]
        self._root = names.index(body.root_body)
        self._tree = int(model.body_rootid[self._root])
        self._axis = np.array(body.forward_axis or (1.0, 0.0, 0.0))
        feet = [names.index(name) for name in body.feet or body.end_effectors]
        self._feet = len(feet)
        self._foot = np.array([_carrier(model, int(b), feet) for b in model.geom_bodyid])
        mass = float(model.body_subtreemass[self._tree])
        self.weight = mass * float(np.linalg.norm(model.opt.gravity))
        """Weight of the animal in the model's unit of force."""

    def of(self, data: mujoco.MjData) -> dict[str, np.ndarray]:
        """Variables by name, float32, or int8 of what is true or false; copies."""
        found: dict[str, np.ndarray] = {}
        for group in self._groups:
            read = getattr(self, group, None)
            if read is not None:
                found |= read(data)
        return {
            k: np.array(x, np.int8 if x.dtype == bool else np.float32) for k, x in found.items()
        }

    def kinematics(self, data: mujoco.MjData) -> dict[str, np.ndarray]:
        """Joints, poses of bodies, motion of the root, center of mass and momentum."""
        mujoco.mj_subtreeVel(self._model, data)
        mass = self._model.body_subtreemass[self._tree]
        return {
            "joint_angle": data.qpos[self._positions],
            "joint_velocity": data.qvel[self._dofs],
            "body_position": data.xpos[1:],
            "body_rotation": data.xquat[1:],
            "root_velocity_heading": self._heading_velocity(data),
            "center_of_mass": data.subtree_com[self._tree],
            "momentum": mass * data.subtree_linvel[self._tree],
        }

    def _heading_velocity(self, data: mujoco.MjData) -> np.ndarray:
        """Forward, lateral (left) and upward velocity; roll, pitch and yaw rate, (6,)."""
        velocity = np.zeros(6)
        kind = mujoco.mjtObj.mjOBJ_XBODY
        mujoco.mj_objectVelocity(self._model, data, kind, self._root, velocity, 0)
        ahead = data.xmat[self._root].reshape(3, 3) @ self._axis
        ahead[2] = 0.0
        length = np.linalg.norm(ahead)
        ahead = ahead / length if length > 1e-9 else np.array([1.0, 0.0, 0.0])
        axes = np.stack([ahead, np.cross([0.0, 0.0, 1.0], ahead), [0.0, 0.0, 1.0]])
        return np.concatenate([axes @ velocity[3:], axes @ velocity[:3]])

    def torques(self, data: mujoco.MjData) -> dict[str, np.ndarray]:
        """Torques at each degree of freedom by their origin."""
        return {
            "joint_torque": data.qfrc_actuator,
            "passive_torque": data.qfrc_passive,
            "constraint_torque": data.qfrc_constraint,
        }

    def actuators(self, data: mujoco.MjData) -> dict[str, np.ndarray]:
        """Force, length, velocity and power; of a muscle that shortens the power is positive."""
        return {
            "actuator_force": data.actuator_force,
            "actuator_length": data.actuator_length,
            "actuator_velocity": data.actuator_velocity,
            "actuator_power": data.actuator_force * data.actuator_velocity,
        }

    def contacts(self, data: mujoco.MjData) -> dict[str, np.ndarray]:
        """Force on each foot in the world frame, and whether it stands."""
        force, wrench = np.zeros((self._feet, 3)), np.zeros(6)
        for i in range(data.ncon):
            contact = data.contact[i]
            pair = self._foot[list(contact.geom)]
            if (pair < 0).all():
                continue
            mujoco.mj_contactForce(self._model, data, i, wrench)
            world = contact.frame.reshape(3, 3).T @ wrench[:3]  # on the second geom
            for sign, foot in zip((-1.0, 1.0), pair, strict=True):
                if foot >= 0:
                    force[foot] += sign * world
        stands = np.linalg.norm(force, axis=1) > STANCE * self.weight
        return {"contact_force": force, "contact": stands}

    def sensors(self, data: mujoco.MjData) -> dict[str, np.ndarray]:
        """Readings of the model's sensors."""
        return {"sensor": data.sensordata}


def _carrier(model: mujoco.MjModel, body: int, feet: list[int]) -> int:
    """Number of the foot that a body is, or is carried by; -1 if there is none."""
    while body:
        if body in feet:
            return feet.index(body)
        body = int(model.body_parentid[body])
    return -1
