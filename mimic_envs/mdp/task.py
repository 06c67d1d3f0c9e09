"""What a task is."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from mimic_envs.mdp import rows
from mimic_envs.mdp.action_term import ActionTerm
from mimic_envs.mdp.command import Command
from mimic_envs.mdp.context import Context
from mimic_envs.mdp.events import KINDS, Event
from mimic_envs.mdp.indices import Indices
from mimic_envs.mdp.rows import Cost, Metric, Observation, Reward, Rows, Termination
from mimic_envs.messages import unknown


@functools.partial(
    jax.tree_util.register_dataclass,
    data_fields=["command", "action"],
    meta_fields=[
        "name",
        "at",
        "observations",
        "rewards",
        "terminations",
        "metrics",
        "events",
        "score",
    ],
)
@dataclasses.dataclass(frozen=True)
class Task:
    """A task of one body: all that an environment has besides physics.

    Attributes:
        name: Its registry name.
        at: Indices of the body.
        command: What is asked for.
        action: What an action means.
        observations: Groups of observations by name, in their order.
        rewards: Rewards and costs.
        terminations: Ways to fail; divergence of the simulation always is one.
        metrics: What else is reported.
        events: What changes the world.
        score: How well a frame is done, from 0 to 1.
    """

    name: str
    at: Indices
    command: Command
    action: ActionTerm
    observations: Rows[Rows[Observation]]
    rewards: Rows[Reward | Cost]
    terminations: Rows[Termination]
    metrics: Rows[Metric]
    score: Callable[[Context], jax.Array]
    events: Rows[Event] = dataclasses.field(default_factory=Rows)

    def changed(
        self,
        rewards: Mapping[str, Any] | None = None,
        terminations: Mapping[str, Any] | None = None,
        observations: Mapping[str, Mapping[str, Any] | None] | None = None,
        metrics: Mapping[str, Any] | None = None,
        events: Mapping[str, Any] | None = None,
    ) -> Task:
        """Return the task with other rows, see `mimic_envs.mdp.rows`.

        Args:
            rewards: Changes of rewards and costs.
            terminations: Changes of terminations.
            observations: Changes of each group by its name; None removes a group, and a name
                that is not there makes one.
            metrics: Changes of metrics.
            events: Changes of events.

        Raises:
            ValueError: A change that is not possible; the message names it.
        """
        groups = dict(self.observations)
        for group, changes in (observations or {}).items():
            if changes is None:
                if group not in groups:
                    raise ValueError(unknown("group of observations", group, tuple(groups)))
                del groups[group]
                continue
            what = f"observation of group {group!r}"
            old = groups.get(group, Rows[Observation]())
            groups[group] = rows.changed(old, changes, (Observation,), what)
        if not any(groups.values()):
            raise ValueError("no observation is left")
        task = dataclasses.replace(
            self,
            observations=Rows({name: group for name, group in groups.items() if group}),
            rewards=rows.changed(self.rewards, rewards, (Reward, Cost), "reward"),
            terminations=rows.changed(
                self.terminations, terminations, (Termination,), "termination"
            ),
            metrics=rows.changed(self.metrics, metrics, (Metric,), "metric"),
            events=rows.changed(self.events, events, KINDS, "event"),
        )
        rows.check_costs(task.rewards)
        return task

    def observe(self, context: Context, key: jax.Array) -> dict[str, jax.Array]:
        """Return the observation: one flat float32 vector for each group.

        Args:
            context: Of the state.
            key: Random key for noise.
        """
        groups = {}
        for group, table in self.observations.items():
            values = [row.value(context).reshape(-1) for row in table.values()]
            for i, row in enumerate(table.values()):
                if row.noise:
                    key, own = jax.random.split(key)
                    values[i] = values[i] + row.noise * jax.random.normal(own, values[i].shape)
            bounds = [
                jnp.full(x.size, row.bound, jnp.float32)
                for x, row in zip(values, table.values(), strict=True)
            ]
            bound = jnp.concatenate(bounds)
            groups[group] = jnp.clip(jnp.concatenate(values), -bound, bound)
        return groups

    def entries(self, context: Context) -> dict[str, jax.Array]:
        """Return every observation by `group/name`, unbounded, in its own shape."""
        return {
            f"{group}/{name}": row.value(context)
            for group, table in self.observations.items()
            for name, row in table.items()
        }

    def judge(self, context: Context) -> tuple[jax.Array, jax.Array, dict[str, jax.Array]]:
        """Return reward, whether a limit is crossed, and metrics of a step; all finite.

        Metrics are `score`, those of the task, `reward/<name>`, `limit/<name>` and `diverged`,
        float32 scalars.
        """
        diverged = context.physics.diverged
        alive = ~diverged
        reward, terms = rows.total(self.rewards, context)
        limits = {name: row.crossed(context) for name, row in self.terminations.items()}
        crossed = jnp.zeros((), bool)
        for flag in limits.values():
            crossed = crossed | flag
        metrics = {
            "score": jnp.where(alive, self.score(context), 0.0),
            **{name: jnp.asarray(row.function(context)) for name, row in self.metrics.items()},
            **{f"reward/{name}": jnp.where(alive, x, 0.0) for name, x in terms.items()},
            **{f"limit/{name}": flag for name, flag in limits.items()},
            "diverged": diverged,
        }
        metrics = {name: x.astype(jnp.float32) for name, x in metrics.items()}
        return jnp.where(alive, reward, 0.0), crossed, metrics
