"""Drawings as inline SVG. Colours come from the style sheet, so that they follow its theme."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

try:
    from markupsafe import Markup, escape
except ImportError:  # it comes with jinja2
    raise SystemExit(
        "the pages are made with jinja2: pip install 'mimic_envs[leaderboard]'"
    ) from None


def interval(score: float, ends: tuple[float, float] | None) -> Markup:
    """A score from 0 to 1 with its interval, for a cell of a table that says the numbers too."""
    whisker = ""
    if ends is not None:
        a, b = (120 * v for v in ends)
        whisker = f'<path class="whisker" d="M{a:.1f} 1V11M{a:.1f} 6H{b:.1f}M{b:.1f} 1V11"/>'
    return Markup(
        f'<svg class="interval" viewBox="0 0 120 12" width="120" height="12" aria-hidden="true">'
        f'<rect class="track" x="0" y="4" width="120" height="4" rx="2"/>'
        f'<rect class="bar" x="0" y="4" width="{120 * score:.1f}" height="4" rx="2"/>'
        f"{whisker}</svg>"
    )


def profile(
    thresholds: np.ndarray,
    lines: Sequence[tuple[str, np.ndarray, tuple[np.ndarray, np.ndarray] | None]],
) -> Markup:
    """Performance profiles with their bands.

    Args:
        thresholds: Scores from 0 to 1, (K,).
        lines: For each its name, the fractions, (K,), and their lower and upper ends, (K,) each,
            where there is a band.
    """
    frame = _Frame(460, 260, (0, 1), (0, 1))
    parts = [frame.axes("score above", "share of runs")]
    for i, (_, values, band) in enumerate(lines):
        if band is not None:
            parts.append(frame.band(thresholds, *band, f"band s{i}"))
        parts.append(frame.line(thresholds, values, f"line s{i}"))
    names = ", ".join(name for name, *_ in lines)
    return frame.svg(f"Performance profile of {names}", parts)


def errors(
    curves: Sequence[Sequence[float]], duration_s: float, cap: float, name: str, large: bool = False
) -> Markup:
    """Errors over time of one clip, in body lengths, cut off at twice the cap of the score.

    Args:
        curves: At most four, (K,) each.
        duration_s: How long the clip is, s.
        cap: Error at which a frame scores 0.
        name: What is drawn, for those who do not see it.
        large: Whether to draw it as wide as a page.
    """
    top = 2 * cap
    frame = _Frame(*((460, 260) if large else (300, 130)), (0, duration_s), (0, top))
    parts = [
        frame.axes("seconds", "error"),
        frame.line(np.array([0, duration_s]), np.array([cap, cap]), "cap"),
    ]
    for i, curve in enumerate(curves):
        times = np.linspace(0, duration_s, len(curve))
        parts.append(frame.line(times, np.minimum(np.asarray(curve), top), f"line s{i}"))
    return frame.svg(f"Error over time in body lengths, {name}", parts)


class _Frame:
    """A coordinate system on paper."""

    def __init__(
        self, width: int, height: int, x: tuple[float, float], y: tuple[float, float]
    ) -> None:
        self.width, self.height, self.x, self.y = width, height, x, y
        self.left, self.bottom = 44, height - 34

    def at(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where a point is on paper."""
        right, top = self.width - 10, 8
        u = (np.asarray(x, float) - self.x[0]) / (self.x[1] - self.x[0])
        v = (np.asarray(y, float) - self.y[0]) / (self.y[1] - self.y[0])
        return self.left + u * (right - self.left), self.bottom + v * (top - self.bottom)

    def line(self, x: np.ndarray, y: np.ndarray, style: str) -> str:
        """A line through points."""
        return f'<path class="{style}" d="M{self._points(x, y)}"/>'

    def band(self, x: np.ndarray, low: np.ndarray, high: np.ndarray, style: str) -> str:
        """The area between two lines."""
        there, back = self._points(x, low), self._points(x[::-1], high[::-1])
        return f'<path class="{style}" d="M{there} L{back}Z"/>'

    def _points(self, x: np.ndarray, y: np.ndarray) -> str:
        return " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(*self.at(x, y), strict=True))

    def axes(self, x_label: str, y_label: str) -> str:
        """Grid, numbers and names."""
        parts = []
        for share in (0, 0.5, 1):
            x = self.x[0] + share * (self.x[1] - self.x[0])
            y = self.y[0] + share * (self.y[1] - self.y[0])
            (px,), (py,) = self.at(np.array([x]), np.array([y]))
            anchor = "middle" if share == 0.5 else "start" if share == 0 else "end"
            right = self.width - 10
            parts.append(f'<path class="grid" d="M{self.left} {py:.1f}H{right}"/>')
            parts.append(
                f'<text x="{self.left - 6}" y="{py + 4:.1f}" text-anchor="end">{y:g}</text>'
            )
            parts.append(
                f'<text x="{px:.1f}" y="{self.bottom + 14}" text-anchor="{anchor}">{x:.3g}</text>'
            )
        middle = (self.left + self.width) / 2
        parts.append(
            f'<text x="{middle:.0f}" y="{self.height - 5}" text-anchor="middle">{x_label}</text>'
        )
        up = (self.bottom + 8) / 2
        parts.append(
            f'<text x="11" y="{up:.0f}" text-anchor="middle" '
            f'transform="rotate(-90 11 {up:.0f})">{y_label}</text>'
        )
        return "".join(parts)

    def svg(self, title: str, parts: Sequence[str]) -> Markup:
        """The drawing, with a name for those who do not see it."""
        name = escape(title)
        return Markup(
            f'<svg class="plot" viewBox="0 0 {self.width} {self.height}" role="img" '
            f'aria-label="{name}"><title>{name}</title>{"".join(parts)}</svg>'
        )
