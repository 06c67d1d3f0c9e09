"""Whether recorded keypoints are the ones that a body knows, and on the right side and scale."""

from __future__ import annotations

import difflib
import re
import warnings

import numpy as np

from mimic_envs import bodies
from mimic_envs.messages import MimicEnvsWarning
from mimic_envs.stac.keypoints import UNITS_M, Keypoints

FEWEST = 3
"""Keypoints needed to place an animal."""
_SCALES = (0.4, 2.5)  # sizes of animals relative to their models that need no explanation
_SWAP_GAIN = 0.5  # changing sides must lower the misfit by this share to be reported


def matched(keypoints: Keypoints, body: bodies.Body, quiet: bool = False) -> Keypoints:
    """The keypoints that the body knows and that the recording has at least once.

    Warns of the others: names that the body does not know, with the nearest it does, and
    keypoints without a single known position; not if it is to be `quiet`.

    Raises:
        ValueError: Fewer than three are left, unless the body has fewer itself.
    """
    known = [name for name in keypoints.names if name in body.keypoints]
    stray = [name for name in keypoints.names if name not in body.keypoints]
    if stray and not quiet:
        said = [f"{name!r}{_nearest(name, body, known)}" for name in stray]
        missing = [name for name in body.keypoints if name not in known]
        rest = f"; not recorded: {', '.join(missing)}" if missing else ""
        _warn(
            f"{keypoints.source}: body {body.name!r} has no keypoint {', '.join(said)}: "
            f"not used{rest}"
        )
    empty = [n for n in known if not (keypoints.weights[:, keypoints.names.index(n)] > 0).any()]
    if empty and not quiet:
        _warn(f"{keypoints.source}: never known, so not used: {', '.join(empty)}")
    used = [name for name in known if name not in empty]
    if len(used) < min(FEWEST, len(body.keypoints)):
        raise ValueError(
            f"{keypoints.source}: {len(used)} usable keypoints are too few for body "
            f"{body.name!r}, whose keypoints are {', '.join(body.keypoints)}; recorded are "
            f"{', '.join(keypoints.names)}: rename them, e.g. "
            f"--rename {keypoints.names[0]}={next(iter(body.keypoints), '...')}"
        )
    return keypoints.select(used)


def _nearest(name: str, body: bodies.Body, taken: list[str]) -> str:
    free = {plain(n): n for n in body.keypoints if n not in taken}
    near = difflib.get_close_matches(plain(name), free, n=1, cutoff=0.5)
    return f" (did you mean {free[near[0]]!r}?)" if near else ""


def plain(name: str) -> str:
    """A name without case, separators and the order in which it says left or right."""
    words = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+", name)
    short = {"left": "l", "right": "r"}
    return "".join(sorted(short.get(w.lower(), w.lower()) for w in words))


def check_given_scale(scale: float | None) -> None:
    """Refuse a scale from the user that no animal has.

    Raises:
        ValueError: It is not a number from 0.001 to 1000.
    """
    if scale is not None and not 1e-3 <= scale <= 1e3:
        raise ValueError(f"scale must be a positive number, from 0.001 to 1000, got {scale!r}")


def check_scale(scale: float, keypoints: Keypoints, body: bodies.Body) -> None:
    """Complain of a scale that only a wrong unit explains.

    Raises:
        ValueError: The animal would be 10 times too large or small, or more.
    """
    complaint = scale_complaint(scale, keypoints, body)
    if complaint is None:
        return
    text, is_wrong = complaint
    if is_wrong:
        raise ValueError(text)
    _warn(text)


def scale_complaint(
    scale: float, keypoints: Keypoints, body: bodies.Body
) -> tuple[str, bool] | None:
    """What is strange about a scale, and whether it cannot be true; None if nothing is."""
    if _SCALES[0] <= scale <= _SCALES[1]:
        return None
    said = f"{keypoints.source}: in {keypoints.unit!r} the animal is {scale:.3g} times as large"
    said += f" as the model of the {body.name}"
    fits = {u: scale * UNITS_M[u] / UNITS_M[keypoints.unit] for u in UNITS_M}
    fits = {u: x for u, x in fits.items() if _SCALES[0] <= x <= _SCALES[1]}
    if fits:
        unit = min(fits, key=lambda u: abs(np.log(fits[u])))
        return f"{said}: is the unit {unit!r} ({fits[unit]:.2f} times)?", True
    if not 0.1 < scale < 10:
        return f"{said}: is the unit right, and is it this animal?", True
    return f"{said}: is it this animal, and full-grown?", False


def swapped_sides(
    names: tuple[str, ...], misfit: np.ndarray, misfit_swapped: np.ndarray
) -> dict[str, np.ndarray]:
    """Frames in which a left keypoint and its right twin fit better the other way round.

    Args:
        names: The keypoints.
        misfit: Squared distances of each from its marker on the body, (T, K), in squared
            noise levels.
        misfit_swapped: The same from the marker of its twin, (T, K).

    Returns:
        `"left name/right name"` to frames, for the pairs with at least one such frame.
    """
    found = {}
    for left, right in twins(names):
        a, b = names.index(left), names.index(right)
        now = misfit[:, a] + misfit[:, b]
        other = misfit_swapped[:, a] + misfit_swapped[:, b]
        # 18: together three noise levels off in each direction, which chance does not do
        frames = np.flatnonzero((now > 18) & (other < (1 - _SWAP_GAIN) * now))
        if frames.size:
            found[f"{left}/{right}"] = frames
    return found


def twins(names: tuple[str, ...]) -> list[tuple[str, str]]:
    """Pairs of names that differ only in saying left or right."""
    pairs = []
    for name in names:
        other = mirror_name(name)
        if other != name and other in names and (other, name) not in pairs:
            pairs.append((name, other))
    return pairs


def mirror_name(name: str) -> str:
    """The name of the keypoint on the other side, or the name itself."""
    for pattern, swap in (
        (r"left|right", {"left": "right", "right": "left"}),
        (r"Left|Right", {"Left": "Right", "Right": "Left"}),
        (r"(?<=[a-z0-9])[LR]$|^[LR](?=\d|[A-Z]|_)", {"L": "R", "R": "L"}),
        (r"(?<=_)[LR](?=$|_)", {"L": "R", "R": "L"}),
        (r"(?<=_)[lr](?=$|_)|^[lr](?=_|\d)", {"l": "r", "r": "l"}),
    ):
        mirrored = re.sub(pattern, lambda m, swap=swap: swap[m[0]], name)  # type: ignore[misc]
        if mirrored != name:
            return mirrored
    return name


def _warn(message: str) -> None:
    warnings.warn(message, MimicEnvsWarning, stacklevel=4)
