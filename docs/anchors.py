"""Score what learns nothing in behavioral tasks: `python docs/anchors.py [TASK:BODY ...]`.

Prints one line of a Markdown table for each task and body: mean score over all frames of all trials
of an animal that holds its rest pose by PD control, of random torques, and of no torques.
"""

from __future__ import annotations

import sys

import mimic_envs
from mimic_envs import bodies, controllers, scoring
from mimic_envs.tasks import registry

ANCHORS = {"still": ("posture", "zero"), "random": ("torque", "random"), "zero": ("torque", "zero")}
"""Action term and controller of each."""


def served() -> list[str]:
    """Every behavioral task with each body that it serves, as `task:body`."""
    pairs = []
    for task in registry.names():
        for body in bodies.names():
            try:
                registry.make(task, bodies.get(body), "torque", {})
            except ValueError:
                continue
            pairs.append(f"{task}:{body}")
    return [pair for pair in pairs if not pair.startswith("imitation:")]


def main(pairs: list[str]) -> None:
    """Print the table's lines."""
    for pair in pairs or served():
        task, body = pair.split(":")
        found = []
        for action, controller in ANCHORS.values():
            env = mimic_envs.make(body, task=task, action=action)
            results = scoring.score(env, controllers.make(controller, env))
            found.append(f"{results.metrics['score'].mean():.3f}")
        print(f"| {' | '.join([f'`{task}`', body, *found])} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
