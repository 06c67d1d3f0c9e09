"""Arenas: grounds, walls and equipment that tasks put animals into."""

from mimic_envs.arenas.placed import Arena, PlacedBody, place

__all__ = ["Arena", "PlacedBody", "place"]
