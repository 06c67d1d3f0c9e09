"""Draw the arenas of `arenas.md`: `MUJOCO_GL=osmesa python docs/arena_pictures.py [TASK ...]`."""

from __future__ import annotations

import pathlib
import sys

import jax
import mujoco
import numpy as np
from PIL import Image

import mimic_envs

FOLDER = pathlib.Path(__file__).parent / "arenas"
WIDTH, HEIGHT = 480, 300
VIEWS = {
    "bowl": ("rodent", {"depth": 2.5}, {"terrain": 1, "heading": 0.6}, (11.0, 40.0, -17.0)),
    "rear": ("rodent", {"place": "wall"}, {"heading": 0.4}, (4.2, 40.0, -14.0)),
    "ball": ("fly", {}, {}, (4.2, 130.0, -8.0)),
    "maze": ("rodent", {}, {"maze": 1, "cell": 44}, (16.0, 60.0, -50.0)),
    "gaps": ("stick_insect", {}, {"lane": 5, "aside": 0.0, "heading": 0.0}, (9.0, 130.0, -28.0)),
}
"""Body, options, start, and distance in body lengths, azimuth and elevation in degrees."""


def draw(task: str) -> np.ndarray:
    """Return the picture of a task's start, (height, width, 3) uint8."""
    body_name, options, condition, (distance, azimuth, elevation) = VIEWS[task]
    env = mimic_envs.make(body_name, task=task, **options)
    command, body = env.task.command, env.body
    state = command.begin(jax.random.key(0), command.condition(**condition), command.memory)
    data = mujoco.MjData(body.model)
    data.qpos[:] = command.start(state, jax.random.key(0)).qpos
    mujoco.mj_forward(body.model, data)
    camera = mujoco.MjvCamera()
    camera.lookat[:] = data.body(body.root_body).xpos
    if task == "rear":
        camera.lookat[0] += 0.25
    if task == "ball":
        camera.lookat[2] -= 1.0 * body.body_length
    if task == "gaps":
        camera.lookat[0] += 2.5 * body.body_length
    camera.distance = distance * body.body_length
    camera.azimuth, camera.elevation = azimuth, elevation
    with mujoco.Renderer(body.model, HEIGHT, WIDTH) as renderer:
        renderer.update_scene(data, camera)
        renderer.scene.flags[mujoco.mjtRndFlag.mjRND_SHADOW] = 0  # grainy from afar
        return renderer.render()


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name in sys.argv[1:] or VIEWS:
        picture = Image.fromarray(draw(name)).quantize(64)
        picture.save(FOLDER / f"{name}.png", optimize=True)
