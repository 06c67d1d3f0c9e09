"""Controllers: policies that need no training."""

from mimic_envs.controllers.controller import Controller, make, names

__all__ = ["Controller", "make", "names"]
