"""Adding to recorded files what a replay of their trials derives."""

from __future__ import annotations

import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from mimic_envs import bodies, physics
from mimic_envs.rollouts import netcdf, replay, variables


def derive(
    path: pathlib.Path, body: bodies.Body, lengths: Sequence[int], groups: Sequence[str]
) -> None:
    """Check a recorded file by a replay, and add what a replay derives.

    Args:
        path: The file; its attribute `replay_error` is written.
        body: Its body.
        lengths: Control steps of each trial.
        groups: Names of `variables.GROUPS`.
    """
    with netcdf.Writer(path, body, lengths, new=False) as file:
        error = 0.0
        for number, steps in enumerate(lengths):
            trial = _trial_of_file(file, body, number, steps)
            error = max(error, replay.difference(trial))
            put_derived(file, trial, number, groups)
        file.attributes({"replay_error": error})


def _trial_of_file(file: netcdf.Writer, body: Any, number: int, steps: int) -> replay.Trial:
    fields = {n[6:]: file.trial_value(n, number) for n in file.names("model_") if n != "model_body"}
    fields = {n: x for n, x in fields.items() if n in physics.FIELDS}
    return replay.Trial(
        body=body,
        steps=steps,
        qpos=file.trial_value("initial_qpos", number),
        qvel=file.trial_value("initial_qvel", number),
        fields=fields,
        forced=file.has("applied_force"),
        rows=lambda name, start, stop: file.get(name, number, start, stop),
    )


def put_derived(
    file: netcdf.Writer, trial: replay.Trial, number: int, groups: Sequence[str]
) -> None:
    """Write what a replay of a trial derives.

    Args:
        file: Where to.
        trial: The trial.
        number: Its number in the file.
        groups: Names of `variables.GROUPS`.
    """
    read = [group for group in groups if group != "inverse"]
    for first, values in replay.derived(trial, read) if read else ():
        for name, x in values.items():
            file.define(name, {}, x.shape[1:])
            file.put(name, number, first, x)
    if "inverse" in groups:
        _put_inverse(file, trial, number)


def _put_inverse(file: netcdf.Writer, trial: replay.Trial, number: int) -> None:
    body = trial.body
    qpos = trial.rows("reference_qpos", 0, trial.steps)
    velocity, acceleration = replay.reference_accelerations(
        trial.rows("reference_qvel", 0, trial.steps), body.control_timestep_s
    )
    names = variables.labels(body)
    joints = [names["position"].index(name) for name in names["joint"]]
    found = {
        "inverse_dynamics_torque": replay.inverse_dynamics(
            body.model, qpos, velocity, acceleration
        ),
        "reference_joint_angle": qpos[:, joints],
    }
    for name, x in found.items():
        file.define(name, {}, x.shape[1:])
        file.put(name, number, 0, x.astype(np.float32))
