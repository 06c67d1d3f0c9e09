"""Controllers: policies that need no training."""

from mimic_envs.controllers.controller import (
    AimingController,
    Controller,
    RememberingController,
    make,
    names,
)

__all__ = ["AimingController", "Controller", "RememberingController", "make", "names"]
