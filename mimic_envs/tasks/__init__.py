"""Tasks: what a body is asked to do, and what that is worth."""
