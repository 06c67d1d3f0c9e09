"""The Gymnasium faces: `Env` and `VectorEnv`, thin over `mimic_envs.env.Environment`."""

from mimic_envs.gym.env import Env
from mimic_envs.gym.state import EnvState
from mimic_envs.gym.vector import VectorEnv

__all__ = ["Env", "EnvState", "VectorEnv"]
