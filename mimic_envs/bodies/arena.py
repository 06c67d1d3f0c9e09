"""The ground that the animals move on, and how it looks."""

from __future__ import annotations

import mujoco

Colour = tuple[float, float, float]
"""Red, green and blue, each from 0 to 1."""

_TILES: tuple[Colour, Colour] = ((0.80, 0.83, 0.85), (0.74, 0.78, 0.80))


def add_floor(
    spec: mujoco.MjSpec,
    height: float,
    tile: float,
    colours: tuple[Colour, Colour] = _TILES,
) -> None:
    """Add a sky and a checkered plane that animals collide with.

    The plane has `contype` 0 and `conaffinity` 1: it touches whatever geom has
    `contype` 1, and nothing else.

    Args:
        spec: The model to add to.
        height: Height of the plane along world z, in length units.
        tile: Edge of one square of the checker, in length units.
        colours: Of the squares, in turn.
    """
    spec.stat.extent = 5 * tile  # sets the near plane and the reach of shadows
    spec.stat.center = (0, 0, height)
    # MuJoCo's 4096, 28 and 16 double the time that software takes for a picture, and look the
    # same at 640 x 480
    quality = spec.visual.quality
    quality.shadowsize, quality.numslices, quality.numstacks = 2048, 20, 12
    spec.visual.map.znear = 0.004  # so that cameras on a head see the parts around them
    spec.visual.headlight.ambient = (0.45, 0.45, 0.45)
    spec.visual.headlight.diffuse = (0.3, 0.3, 0.3)
    spec.visual.headlight.specular = (0, 0, 0)
    spec.add_texture(
        name="sky",
        type=mujoco.mjtTexture.mjTEXTURE_SKYBOX,
        builtin=mujoco.mjtBuiltin.mjBUILTIN_GRADIENT,
        rgb1=(0.93, 0.95, 0.97),
        rgb2=(0.72, 0.80, 0.88),
        width=256,
        height=1536,
    )
    spec.add_texture(
        name="floor",
        type=mujoco.mjtTexture.mjTEXTURE_2D,
        builtin=mujoco.mjtBuiltin.mjBUILTIN_CHECKER,
        rgb1=colours[0],
        rgb2=colours[1],
        width=512,
        height=512,
    )
    material = spec.add_material(name="floor", texrepeat=(0.5 / tile, 0.5 / tile), texuniform=True)
    material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = "floor"
    spec.worldbody.add_geom(
        name="floor",
        type=mujoco.mjtGeom.mjGEOM_PLANE,
        size=(0, 0, 50 * tile),
        pos=(0, 0, height),
        material="floor",
        contype=0,
        conaffinity=1,
    )


def add_sun(body: mujoco.MjsBody, tile: float) -> None:
    """Add a directional light that travels with a body, so that its shadow is always sharp.

    Args:
        body: The body that carries the animal's root joint.
        tile: Edge of a floor square, which tells the scale, in length units.
    """
    body.add_light(
        name="sun",
        type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL,
        mode=mujoco.mjtCamLight.mjCAMLIGHT_TRACK,
        pos=(-1.5 * tile, -2 * tile, 6 * tile),
        dir=(1.5, 2, -6),
        diffuse=(0.45, 0.45, 0.45),
        ambient=(0.1, 0.1, 0.1),
        specular=(0.1, 0.1, 0.1),
        castshadow=True,
    )
