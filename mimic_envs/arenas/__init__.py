"""Arenas: grounds, walls and equipment that tasks put animals into."""

from mimic_envs.arenas.ground import floor_height
from mimic_envs.arenas.placed import Arena, PlacedBody, place

__all__ = ["Arena", "PlacedBody", "floor_height", "place"]
