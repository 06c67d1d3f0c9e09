"""The prior of a decoder: which latents its encoder gives in a state of the body.

A network from proprioception to mean and logarithm of the standard deviation of the latents. It is
fitted to what the encoder says along imitated motions, with encoder and decoder frozen, by
`python -m baselines.fit_prior FOLDER`, which writes two files beside the decoder:
`prior.safetensors` has the layers `layer_<i>/weight` and `layer_<i>/bias`, `prior.json` says which
decoder it belongs to. Proprioception is normalised, and layers have activations, as in the decoder.
"""

from __future__ import annotations

import dataclasses
import pathlib

import numpy as np

from mimic_envs.reuse.decoder import PROPRIOCEPTION, Decoder
from mimic_envs.scoring import safetensors, untrusted
from mimic_envs.scoring.mlp import check_shapes, layer_shapes

TENSORS, RECORD = "prior.safetensors", "prior.json"
FORMAT = "mimic_envs.prior"
FORMAT_VERSION = 1


@dataclasses.dataclass(frozen=True, eq=False)
class Prior:
    """See the module.

    Attributes:
        layers: How many layers it has.
        params: Its weights by name.
        files: Contents of its files by name.
    """

    layers: int
    params: dict[str, np.ndarray]
    files: dict[str, bytes]


def read(decoder: Decoder) -> Prior:
    """Return the prior that lies beside a decoder.

    Raises:
        ValueError: There is none, or one of another decoder.
    """
    folder = decoder.folder
    missing = [name for name in (TENSORS, RECORD) if not (folder / name).is_file()]
    if missing:
        raise ValueError(
            f"decoder {folder}: mode 'residual' needs a prior, and there is no {missing[0]}: fit "
            f"one with python -m baselines.fit_prior {folder}"
        )
    record = untrusted.read_json(folder / RECORD)
    head = {"format": FORMAT, "version": FORMAT_VERSION, "decoder_sha256": decoder.sha256}
    for name, wanted in head.items():
        if not isinstance(record, dict) or record.get(name) != wanted:
            raise ValueError(
                f"{folder / RECORD}: {name} must be {wanted!r}: the prior is of another decoder, "
                "fit it again"
            )
    hidden = record.get("hidden")
    if not isinstance(hidden, list) or not all(type(n) is int and 0 < n <= 8192 for n in hidden):
        raise ValueError(f"{folder / RECORD}: hidden must be widths from 1 to 8192")
    network = decoder.network
    sizes = [dict(network.widths)[PROPRIOCEPTION], *hidden, 2 * network.latent_size]
    params = {k: x.astype(np.float32) for k, x in safetensors.read(folder / TENSORS).items()}
    try:
        check_shapes({k: x.shape for k, x in params.items()}, layer_shapes("", sizes))
    except ValueError as error:
        raise ValueError(f"{folder / TENSORS}: {error}") from None
    if not all(np.isfinite(x).all() for x in params.values()):
        raise ValueError(f"{folder / TENSORS} has entries that are not finite")
    files = {name: (pathlib.Path(folder) / name).read_bytes() for name in (TENSORS, RECORD)}
    return Prior(len(sizes) - 1, params, files)
