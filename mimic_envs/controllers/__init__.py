"""Controllers: policies that need no training."""

from mimic_envs.controllers.controller import (
    Controller,
    RememberingController,
    make,
    names,
)

__all__ = ["Controller", "RememberingController", "make", "names"]
