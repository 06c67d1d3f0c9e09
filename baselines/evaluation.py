"""Scores of a policy while it is trained."""

from __future__ import annotations

from typing import Any

import jax

from baselines import policy, runs
from baselines.networks import Params
from baselines.normaliser import Normaliser
from baselines.policy import PolicyController
from baselines.spec import Spec
from mimic_envs import scoring


class Evaluation:
    """Scores policies on the clips for that, always with C MuJoCo in float64.

    Args:
        name: What the policy is called.
        body: Its body.
        spec: How it is built.
        clips: Set of clips, or a file.
        threads: Of the physics; 0 takes one per CPU.
        task: Name of the task.
        grounded: Follow motions whose feet stand on the floor.
    """

    def __init__(
        self,
        name: str,
        body: str,
        spec: Spec,
        clips: str,
        threads: int,
        task: str = "imitation",
        grounded: bool = False,
    ) -> None:
        self._name = name
        self._clips, self._clips_name = runs.load_clips(task, clips, body)
        self._env = runs.make_env(
            body,
            task,
            runs.clip_options(task, self._clips, grounded=grounded),
            action=spec.action,
            backend_options={"threads": threads},
        )
        self._actor = policy.build(spec, self._env)
        self._controller: PolicyController | None = None
        self.latest = float("nan")

    def score(self, params: Params, statistics: Normaliser) -> dict[str, Any]:
        """Score with its interval, and the mean of every metric over clips."""
        params, statistics = jax.device_get((params, policy.actor_statistics(statistics)))
        if self._controller is None:
            self._controller = PolicyController(self._name, self._actor, params, statistics)
        self._controller.load(params, statistics)
        results = scoring.score(self._env, self._controller, self._clips, self._clips_name)
        self.latest = results.score
        return runs.logged(results)
