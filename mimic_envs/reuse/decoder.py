"""The decoder of a trained policy, with its observation statistics, frozen.

It is read from the folder of a policy of architecture `intention` or `recurrent`, see
`mimic_envs.scoring.intention`. It takes a latent and the proprioception of its body, and its output
is an action of the policy's own action term. That must be a term which needs no reference, such as
`torque` or `posture`: then it works in every task of the body.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
import os
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from mimic_envs import bodies
from mimic_envs.mdp import actions
from mimic_envs.mdp.action_term import ActionTerm
from mimic_envs.messages import unknown
from mimic_envs.scoring import untrusted
from mimic_envs.scoring.intention import Network
from mimic_envs.scoring.mlp import check_shapes
from mimic_envs.scoring.policies import FORMAT, FORMAT_VERSION, Declared
from mimic_envs.text import plain

FILES = ("policy.json", "weights.safetensors")
"""What makes a decoder. Other files of a policy's folder do not matter."""
ARCHITECTURES = {"intention": False, "recurrent": True}
"""Architectures that have a decoder, and whether it is recurrent."""
PROPRIOCEPTION = "proprioception"


@dataclasses.dataclass(frozen=True, eq=False)
class Decoder:
    """See the module.

    Attributes:
        folder: Where it was read from.
        network: Shapes and passes of the policy that it is a part of.
        term: What its output means.
        layout: Shape of each entry of proprioception, in their order.
        params: Its weights by name, and `mean` and `std` of proprioception.
        files: Contents of `FILES` by name.
        sha256: Of these.
    """

    folder: pathlib.Path
    network: Network
    term: ActionTerm
    layout: dict[str, tuple[int, ...]]
    params: dict[str, np.ndarray]
    files: dict[str, bytes]
    sha256: str

    def check(self, layout: Mapping[str, tuple[int, ...]]) -> None:
        """Compare proprioception entry by entry with that of an environment.

        Args:
            layout: Shape of each entry of its observation by `group/name`, in their order.

        Raises:
            ValueError: It differs; the message names the first entry that does.
        """
        given = {k: tuple(x) for k, x in layout.items() if k.split("/")[0] == PROPRIOCEPTION}
        if list(given.items()) == list(self.layout.items()):
            return
        names = {**self.layout, **given}
        first = next((k for k in names if given.get(k) != self.layout.get(k)), "")
        raise ValueError(
            f"decoder {self.folder}: it was trained with another proprioception than the "
            f"environment has: {_difference(first, self.layout, given)}"
        )


def _difference(
    name: str, own: Mapping[str, tuple[int, ...]], given: Mapping[str, tuple[int, ...]]
) -> str:
    """How an entry differs between two layouts; "" names none, so only the order differs."""
    if not name:
        return "its entries are in another order"
    name_ = plain(name, 60)
    if name not in given:
        return f"the environment has no {name_}"
    if name not in own:
        return f"the decoder does not know {name_}"
    return f"{name_} has shape {given[name]}, the decoder expects {own[name]}"


def read(folder: str | os.PathLike[str], body: bodies.Body) -> Decoder:
    """Return the decoder in a policy's folder.

    Raises:
        ValueError: The folder is no policy, or one that has no decoder that can be reused with
            this body. The message is safe to be shown, whatever the folder says.
    """
    path = pathlib.Path(folder)
    try:
        return _read(path, body)
    except ValueError as error:
        raise ValueError(f"decoder {path}: {plain(str(error), 800)}") from None


def _read(folder: pathlib.Path, body: bodies.Body) -> Decoder:
    for name in FILES:
        if not (folder / name).is_file():
            raise ValueError(f"no {name}, so this is no folder of a policy with a decoder")
    record = untrusted.read_json(folder / FILES[0])
    layout = _checked(record, body)
    term = _own_term(record["action"], body)
    widths: dict[str, int] = {}
    for entry, shape in layout.items():
        group = entry.split("/")[0]
        widths[group] = widths.get(group, 0) + math.prod(shape)
    if record["actions"] != term.size:
        raise ValueError(f"has {plain(repr(record['actions']), 40)} actions, not {term.size}")
    recurrent = ARCHITECTURES[record["architecture"]]
    network = Network.of(record["options"], widths, term.size, recurrent)
    declared = Declared(folder, "decoder", record["options"], widths, term.size)
    files = {name: (folder / name).read_bytes() for name in FILES}
    digest = hashlib.sha256(b"".join(files[name] for name in FILES)).hexdigest()
    proprioception = {k: x for k, x in layout.items() if k.split("/")[0] == PROPRIOCEPTION}
    params = _params(declared, network)
    return Decoder(folder, network, term, proprioception, params, files, digest)


def _checked(record: Any, body: bodies.Body) -> dict[str, tuple[int, ...]]:
    """Shape of each entry of the observation, after a check of what `policy.json` says.

    Raises:
        ValueError: It is not that of a policy with a decoder for the body.
    """
    wanted = ("format", "version", "body", "architecture", "options", "observation", "action")
    if not isinstance(record, dict) or not {*wanted, "actions"} <= set(record):
        raise ValueError(f"policy.json: expected an object with {', '.join(wanted)}, actions")
    if (record["format"], record["version"]) != (FORMAT, FORMAT_VERSION):
        raise ValueError(f"policy.json: format must be {FORMAT!r}, version {FORMAT_VERSION}")
    if record["body"] != body.name:
        raise ValueError(f"it is for body {plain(repr(record['body']), 40)}, not {body.name!r}")
    if record["architecture"] not in tuple(ARCHITECTURES):
        found = plain(repr(record["architecture"]), 40)
        raise ValueError(
            f"a policy of architecture {found} has no decoder: train one with "
            f"--network {' or '.join(ARCHITECTURES)}"
        )
    if not isinstance(record["options"], dict):
        raise ValueError("policy.json: options must be an object")
    observation = record["observation"]
    if not isinstance(observation, dict) or not all(map(_is_shape, observation.values())):
        raise ValueError("policy.json: observation must have the shape of each entry")
    return {str(name): tuple(shape) for name, shape in observation.items()}


def _is_shape(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) <= 8
        and all(type(n) is int and 0 <= n <= 1_000_000 for n in value)
    )


def _own_term(name: Any, body: bodies.Body) -> ActionTerm:
    """The term that a decoder's output is an action of.

    Raises:
        ValueError: It needs a reference, or a decoder of its own.
    """
    if isinstance(name, dict):
        raise ValueError("it acts by the latents of another decoder: name that one")
    if name not in tuple(actions.ACTIONS):
        raise ValueError(unknown("action", plain(repr(name), 40), tuple(actions.ACTIONS)))
    kind = actions.ACTIONS[name]
    free = [n for n, k in actions.ACTIONS.items() if isinstance(k, type) and _is_free(k)]
    if not isinstance(kind, type) or not _is_free(kind):
        raise ValueError(
            f"its action {name!r} follows a reference, which other tasks do not have: only "
            f"decoders that act by {' or '.join(map(repr, free))} can be reused"
        )
    term: ActionTerm = kind(body)
    return term


def _is_free(kind: Any) -> bool:
    return not (kind.needs_pose or kind.needs_forces or kind.reads_observation)


def _params(declared: Declared, network: Network) -> dict[str, np.ndarray]:
    """Weights of the decoder, and the statistics of proprioception."""
    tensors = declared.tensors()
    check_shapes({k: x.shape for k, x in tensors.items()}, network.shapes)
    if not (tensors["std"] > 0).all():
        raise ValueError("weights.safetensors: std must be positive")
    start = 0
    for group, width in network.widths:
        if group == PROPRIOCEPTION:
            break
        start += width
    part = slice(start, start + width)
    own = {k: x for k, x in tensors.items() if k.split("/")[0] in ("decoder", "cell")}
    return {**own, "mean": tensors["mean"][part], "std": tensors["std"][part]}
