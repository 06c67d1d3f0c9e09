"""Pictures: videos with a ghost, charts."""
