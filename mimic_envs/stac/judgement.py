"""`Judgement`: whether a registration can be trusted, and why."""

from __future__ import annotations

import dataclasses
import json
from typing import Any, Literal

Severity = Literal["note", "look", "refuse"]

GOOD, LOOK, REFUSED = "good", "look at it", "refused"
_VERDICTS = {"note": GOOD, "look": LOOK, "refuse": REFUSED}
_ORDER = tuple(_VERDICTS)


@dataclasses.dataclass(frozen=True)
class Finding:
    """One thing that was noticed about a recording or its fit.

    Attributes:
        kind: Short name, for example `"up"`, `"mirrored"`, `"floor"` or `"gaps"`.
        severity: `note`, `look` (a person should look at it) or `refuse`.
        message: What was found, with numbers and units.
        remedy: What to do, for example an option of the command; "" if there is nothing.
    """

    kind: str
    severity: Severity
    message: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.message}: {self.remedy}" if self.remedy else self.message


@dataclasses.dataclass(frozen=True)
class Judgement:
    """All findings about a recording and its fit; the worst of them is the verdict."""

    findings: tuple[Finding, ...] = ()

    @property
    def verdict(self) -> str:
        """`good`, `look at it` or `refused`."""
        worst = max((_ORDER.index(f.severity) for f in self.findings), default=0)
        return _VERDICTS[_ORDER[worst]]

    @property
    def is_refused(self) -> bool:
        """Whether nothing should be written."""
        return self.verdict == REFUSED

    @property
    def kinds(self) -> frozenset[str]:
        """Kinds of the findings that speak against the registration."""
        return frozenset(f.kind for f in self.findings if f.severity != "note")

    def reasons(self, severity: Severity | None = None) -> list[str]:
        """Texts of the findings, the worst first; only those of one severity if it is given."""
        chosen = [f for f in self.findings if severity in (None, f.severity)]
        return [str(f) for f in sorted(chosen, key=lambda f: -_ORDER.index(f.severity))]

    def with_findings(self, *findings: Finding) -> Judgement:
        """The same with more findings."""
        return Judgement((*self.findings, *findings))

    def without(self, *kinds: str) -> Judgement:
        """The same without findings of some kinds."""
        return Judgement(tuple(f for f in self.findings if f.kind not in kinds))

    def as_json(self) -> str:
        """The judgement as text for a file: the verdict, and each finding."""
        found = [dataclasses.asdict(f) for f in self.findings]
        return json.dumps({"verdict": self.verdict, "findings": found})

    @classmethod
    def from_json(cls, text: str) -> Judgement:
        """The judgement that `as_json` wrote.

        Raises:
            ValueError: Another text.
        """
        try:
            content: dict[str, Any] = json.loads(text)
            findings = tuple(Finding(**found) for found in content["findings"])
        except (KeyError, TypeError, json.JSONDecodeError) as error:
            raise ValueError(f"not a judgement of a registration: {error}") from error
        if any(f.severity not in _VERDICTS for f in findings):
            raise ValueError("not a judgement of a registration: unknown severity")
        return cls(findings)
