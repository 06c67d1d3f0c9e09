"""Tasks: what an animal is asked to do. One file for each, which reads as its specification.

A task is a module, or any object, with `Options` (a frozen dataclass), `command(body, options)`
and `rows(body)`; see `mimic_envs.tasks.imitation`.
"""

from mimic_envs.tasks.registry import make, names, options_of

__all__ = ["make", "names", "options_of"]
