"""What the scalar and the vector environment share: how they are made, copied and pickled."""

from __future__ import annotations

import copy
from typing import Any, ClassVar, Self

import mujoco
import numpy as np

from mimic_envs import bodies
from mimic_envs.env import Environment
from mimic_envs.gym import state as state_
from mimic_envs.gym.host_stepper import HostStepper
from mimic_envs.gym.jax_stepper import JaxStepper
from mimic_envs.gym.keywords import assembled
from mimic_envs.gym.spec import HasSpec
from mimic_envs.gym.stepper import Stepper


class Face(HasSpec):
    """Base of both faces.

    Copies (`copy.deepcopy`) and pickles go on with the running episode, bit for bit. Attributes
    go along, but not what draws pictures: a copy opens its own window when it first draws. A
    pickle holds the arguments that the environment was made of in place of clips and model.

    A subclass that is an `EzPickle` too is made again by its own arguments, and its attributes
    are then those that its `__init__` sets; the episode goes on all the same.
    """

    RUNNING: ClassVar[tuple[str, ...]] = ("_spec", "_stepper", "action_space", "observation_space")
    """Attributes of a running episode, and what else an environment does not get from its
    arguments."""
    DRAWING: ClassVar[tuple[str, ...]] = ("_pictures",)
    """Attributes that are not copied, but None in a copy."""

    _stepper: Stepper | None = None

    def _assemble(self, body: bodies.Body | str, options: dict[str, Any]) -> None:
        self._arguments = (body, options)
        self.functional: Environment = assembled(body, options)

    def _make_stepper(self, count: int) -> Stepper:
        """The stepper that suits the environment's physics. Starts JAX."""
        kind = HostStepper if self.functional.physics.on_host else JaxStepper
        return kind(self.functional, count)

    @property
    def model(self) -> mujoco.MjModel:
        """The compiled model. All environments of a body share it: treat it as read-only.

        It has the values of the body's description, also where `events` change them.
        """
        return self.functional.body.model

    @property
    def dt(self) -> float:
        """Time between two actions, s."""
        return self.functional.body.control_timestep_s

    def __copy__(self) -> Self:
        return copy.deepcopy(self)  # two environments cannot share a running episode

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        if self._ezpickle is not None:
            arguments, keywords = copy.deepcopy(self._ezpickle, memo)
            twin, names = type(self)(*arguments, **keywords), list(self.RUNNING)
        else:
            twin, names = type(self).__new__(type(self)), list(vars(self))
        memo[id(self)] = twin
        for name in names:
            if name in vars(self):
                value = None if name in self.DRAWING else vars(self)[name]
                vars(twin)[name] = copy.deepcopy(value, memo)
        return twin

    def __getstate__(self) -> dict[str, Any]:
        own = {name: None if name in self.DRAWING else x for name, x in vars(self).items()}
        stepper = own.pop("_stepper", None)
        del own["functional"]  # the arguments stand for it
        if self._ezpickle is not None:
            arguments, keywords = self._ezpickle
            own = {name: own[name] for name in self.RUNNING if name in own}
            own |= {"_ezpickle_args": arguments, "_ezpickle_kwargs": keywords}
        return own | {"_simulation": None if stepper is None else state_.arrays(stepper)}

    def __setstate__(self, saved: dict[str, Any]) -> None:
        saved = dict(saved)
        arrays = saved.pop("_simulation")
        if "_ezpickle_args" in saved:
            type(self).__init__(self, *saved["_ezpickle_args"], **saved["_ezpickle_kwargs"])
        vars(self).update(saved)
        if "functional" not in vars(self):
            self._assemble(*self._arguments)
        if arrays is not None:
            count = len(arrays[0])
            self._stepper = self._make_stepper(count)
            state_.restore(self._stepper, np.arange(count), arrays)

    @property
    def _ezpickle(self) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
        """What a subclass told `EzPickle`, if it did."""
        own = vars(self)
        told = "_ezpickle_args" in own
        return (own["_ezpickle_args"], own["_ezpickle_kwargs"]) if told else None
