"""Fixtures of the speed benchmarks, and the table of ratios at the end of a run."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from mimic_envs.xla import prepare_cpu_compiler

prepare_cpu_compiler()  # before any benchmark starts JAX


@dataclasses.dataclass(frozen=True)
class Claim:
    """A measured number and what it must be."""

    what: str
    measured: float
    at_least: float | None
    at_most: float | None
    unit: str

    @property
    def holds(self) -> bool:
        return (self.at_least is None or self.measured >= self.at_least) and (
            self.at_most is None or self.measured <= self.at_most
        )

    @property
    def required(self) -> str:
        if self.at_least is not None:
            return f">= {self.at_least:g}{self.unit}"
        return "-" if self.at_most is None else f"<= {self.at_most:g}{self.unit}"


_CLAIMS = pytest.StashKey[list[Claim]]()


@pytest.fixture
def claim(benchmark: BenchmarkFixture, request: pytest.FixtureRequest) -> Callable[..., None]:
    """Record a number in the report and in the final table, and fail where it is not met.

    Called with what was measured, the number, `at_least` or `at_most` (neither: only
    reported), the unit of the number (a ratio if none) and more numbers for the report.
    """

    def check(
        what: str,
        measured: float,
        at_least: float | None = None,
        at_most: float | None = None,
        unit: str = "",
        **extra: float,
    ) -> None:
        found = Claim(what, float(measured), at_least, at_most, unit)
        benchmark.extra_info.update(extra, claim=what, measured=measured, required=found.required)
        request.config.stash.setdefault(_CLAIMS, []).append(found)
        assert found.holds, f"{what}: {measured:.3g}{unit}, required {found.required}"

    return check


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Print one line per claim: what, measured, required."""
    claims = config.stash.get(_CLAIMS, [])
    if not claims:
        return
    terminalreporter.section("claims")
    width = max(len(c.what) for c in claims)
    for c in claims:
        verdict = {"-": "", True: "met"}.get(
            c.required if c.required == "-" else c.holds, "NOT MET"
        )
        measured = f"{c.measured:.3g}{c.unit}"
        terminalreporter.write_line(
            f"{c.what:{width}}  {measured:>10}  {c.required:>10}  {verdict}".rstrip()
        )
