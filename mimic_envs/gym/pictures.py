"""What the Gymnasium faces show: render modes, cameras and sizes of pictures."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from mimic_envs import bodies
from mimic_envs.messages import unknown
from mimic_envs.viz.render import DepthRenderer, Renderer, Viewer, check_camera

RENDER_MODES = ("human", "rgb_array", "depth_array")
"""Render modes of `Env`. `gymnasium.make` makes those that end in `_list` from them."""
VECTOR_RENDER_MODES = ("rgb_array", "depth_array")
"""Render modes of `VectorEnv`."""

_KINDS = {"human": Viewer, "rgb_array": Renderer, "depth_array": DepthRenderer}


@dataclasses.dataclass(frozen=True)
class View:
    """What a face shows when it is asked to render.

    Attributes:
        render_mode: One of the face's render modes, or None.
        camera: Name of a camera of the body's model; None for the view that follows the animal.
        width: Width of pictures in pixels.
        height: Height of pictures in pixels.
    """

    render_mode: str | None
    camera: str | None
    width: int
    height: int

    @classmethod
    def of(
        cls, body: bodies.Body, mode: str | None, camera: str | None, width: int, height: int
    ) -> View:
        """Return the view of a body.

        Raises:
            TypeError: The camera is not a name.
            ValueError: No such camera.
        """
        check_camera(body, camera)
        return cls(mode, camera, width, height)

    def open(self, body: bodies.Body) -> Renderer | Viewer:
        """Return what draws a body: off-screen, or in a window for mode `human`.

        Args:
            body: The body that the view is of.

        Raises:
            RuntimeError: No OpenGL that works, or no display for a window.
        """
        assert self.render_mode is not None
        return _KINDS[self.render_mode](body, self.width, self.height, self.camera)


def check_render_mode(mode: Any, modes: Sequence[str]) -> None:
    """Raise ValueError for a mode that is neither None nor one of the face's."""
    if mode is None or mode in modes:
        return
    single = str(mode).removesuffix("_list")
    if single != mode and single in modes:
        raise ValueError(
            f"render_mode {mode!r} is made by gymnasium.make, or by "
            f"gymnasium.wrappers.RenderCollection around an environment of mode {single!r}"
        )
    raise ValueError(unknown("render_mode", mode, modes))
