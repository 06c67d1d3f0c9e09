"""The toy task as a fixture."""

from __future__ import annotations

import pytest

from tests.baselines import toys


@pytest.fixture(scope="session")
def follow() -> toys.ToyEnv:
    """See `toys.follow`."""
    return toys.follow()
