"""The action term `latent`: an action chooses the latent of a frozen decoder.

    make("stick_insect", task="velocity",
         action={"kind": "latent", "decoder": FOLDER, "mode": "direct", "scale": 0.5})

| mode | latent for an action a |
|---|---|
| `direct` | `scale a` |
| `walk` | `0.95 z + sqrt(1 - 0.95^2) scale a`, z the latent one step before, zero at first |
| `residual` | mean of the fitted prior in this state of the body, plus `scale a` |

`walk` makes white noise of actions the prior that the latents had in training (arXiv 2511.20532).
The latent is then an entry of the group `task` of the observation, since later ones depend on it.
With `hold` above 1 the action of every `hold`-th step is kept for that many steps; it, and how many
steps it has been kept, are observed likewise.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
import os
import pathlib
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import jax
import jax.numpy as jnp

from mimic_envs.files import atomically
from mimic_envs.mdp.action_term import ActionTerm, Before
from mimic_envs.mdp.command import Command
from mimic_envs.reuse import decoder as decoders
from mimic_envs.reuse import prior as priors
from mimic_envs.reuse.decoder import PROPRIOCEPTION, Decoder
from mimic_envs.scoring import policies
from mimic_envs.scoring.mlp import ACTIVATIONS, layers, normalised
from mimic_envs.validation import POSITIVE, Range

CORRELATION = 0.95
"""Correlation of a latent with the one before it in mode `walk`, that of the training prior."""


@dataclasses.dataclass(frozen=True)
class Latent(ActionTerm):
    """See the module. All of the decoder is frozen, its statistics of observations included.

    Attributes:
        decoder: Folder of the policy whose decoder it is.
        mode: How an action becomes a latent.
        scale: Size of the latents: an action of 1 is this many standard deviations of the
            training prior.
        hold: Control steps for which an action is kept.
        sha256: Of the decoder's files, and of the prior's if there is one.

    Raises:
        ValueError: The folder has no decoder for this body; the message says why.
    """

    name = "latent"
    reads_observation = True

    decoder: str | os.PathLike[str] = dataclasses.field(compare=False)
    mode: Literal["direct", "walk", "residual"] = "direct"
    scale: Annotated[float, POSITIVE] = 0.5
    hold: Annotated[int, Range(1)] = 1
    sha256: str = dataclasses.field(default="", init=False)

    def __post_init__(self) -> None:
        read = decoders.read(self.decoder, self.body)
        params: dict[str, Any] = {"decoder": read.params}
        prior = priors.read(read) if self.mode == "residual" else None
        if prior is not None:
            params["prior"] = prior.params
        files = {**read.files, **(prior.files if prior else {})}
        digest = hashlib.sha256(b"".join(files.values())).hexdigest()
        found = {"_decoder": read, "_prior": prior, "_params": params, "sha256": digest}
        for name, value in found.items():
            object.__setattr__(self, name, value)

    @property
    def _read(self) -> Decoder:
        read: Decoder = self.__dict__["_decoder"]
        return read

    @property
    def size(self) -> int:
        """Number of latents."""
        return self._read.network.latent_size

    @property
    def labels(self) -> tuple[str, ...]:
        """See `ActionTerm.labels`."""
        return tuple(f"latent_{i}" for i in range(self.size))

    @property
    def identity(self) -> str:
        """See `ActionTerm.identity`."""
        return f"{self.name} {self.sha256[:12]} {self.mode} {self.scale:g} {self.hold}"

    @property
    def observed(self) -> tuple[str, ...]:
        """See `ActionTerm.observed`."""
        walks = ("latent",) if self.mode == "walk" else ()
        return (*walks, *(("held_action", "hold_phase") if self.hold > 1 else ()))

    def check_observation(self, layout: Mapping[str, tuple[int, ...]]) -> None:
        """See `ActionTerm.check_observation`."""
        self._read.check(layout)

    @property
    def declared(self) -> dict[str, Any]:
        """See `ActionTerm.declared`; the decoder is in the subfolder `decoder`."""
        return {"kind": self.name, "mode": self.mode, "scale": self.scale, "hold": self.hold}

    def write(self, folder: pathlib.Path) -> None:
        """See `ActionTerm.write`: a copy of the decoder, and of its prior if that is used."""
        own = folder / policies.DECODER
        own.mkdir(exist_ok=True)
        prior: priors.Prior | None = self.__dict__["_prior"]
        for name, content in {**self._read.files, **(prior.files if prior else {})}.items():
            with atomically(own / name) as partial:
                partial.write_bytes(content)

    def begin(self) -> dict[str, jax.Array]:
        """See `ActionTerm.begin`."""
        network, nothing = self._read.network, jnp.zeros(self.size, jnp.float32)
        remembered = {}
        if self.mode == "walk":
            remembered["latent"] = nothing
        if self.hold > 1:
            remembered |= {"held_action": nothing, "hold_phase": jnp.zeros((), jnp.int32)}
        if network.recurrent:
            remembered["cell"] = network.memory
        return remembered

    def drive(
        self, command: Command, before: Before, action: jax.Array
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """See `ActionTerm.drive`."""
        read, params, memory = self._read, self.params, dict(before.memory)
        seen = normalised(params["decoder"], before.obs[PROPRIOCEPTION], read.network.clip)
        if self.hold > 1:
            action = jnp.where(memory["hold_phase"] == 0, action, memory["held_action"])
            memory["held_action"] = action
            memory["hold_phase"] = (memory["hold_phase"] + 1) % self.hold
        latent = self._latent(params, seen, action, memory)
        if self.mode == "walk":
            memory["latent"] = latent
        out, cell = read.network.decode(params["decoder"], latent, seen, memory.get("cell", ()))
        if read.network.recurrent:
            memory["cell"] = cell
        out = jnp.clip(jnp.where(jnp.isfinite(out), out, 0.0), -1.0, 1.0)  # as of every action
        return read.term.control(command, before.command, before.physics, out), memory

    def _latent(
        self, params: Any, seen: jax.Array, action: jax.Array, memory: dict[str, jax.Array]
    ) -> jax.Array:
        """The latent for an action, (L,)."""
        change = self.scale * action
        if self.mode == "walk":
            return CORRELATION * memory["latent"] + math.sqrt(1 - CORRELATION**2) * change
        if self.mode == "residual":
            prior: priors.Prior = self.__dict__["_prior"]
            activation = ACTIVATIONS[self._read.network.activation]
            return layers(params["prior"], "", prior.layers, activation, seen)[: self.size] + change
        return change
