"""A report: one self-contained page with vector figures, every number as JSON, tables as CSV."""

from __future__ import annotations

import dataclasses
import html
import io
import json
import math
import pathlib
import re
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from typing import TYPE_CHECKING, Any

import numpy as np

from mimic_envs import extras
from mimic_envs.analysis import emg as emg_
from mimic_envs.analysis import registry, tracking
from mimic_envs.analysis.result import Missing, Result, style
from mimic_envs.files import atomically, check_folder

if TYPE_CHECKING:
    import pandas
    import xarray

Progress = Callable[[int, int], None]
_SHOWN_ROWS = 30
"""Rows of a table on the page; all of them are in its CSV file."""
_CSS = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem;
       color: #1b1b1b; background: #fff; }
h1 { font-size: 1.5rem } h2 { font-size: 1.15rem; margin-top: 2.5rem; border-top: 1px solid #ddd;
     padding-top: 1rem }
figure { margin: 1rem 0; overflow-x: auto } figure svg { max-width: 100%; height: auto }
table { border-collapse: collapse; font-size: 12px; font-variant-numeric: tabular-nums }
td, th { padding: 2px 8px; text-align: right; border-bottom: 1px solid #eee }
td:first-child, th:first-child { text-align: left }
.tables { overflow-x: auto } .note { color: #444; font-size: 13px } nav a { margin-right: .8rem }
"""


@dataclasses.dataclass(frozen=True, eq=False)
class Report:
    """Results of all analyses of some datasets.

    Attributes:
        datasets: Attributes of each dataset by its name.
        results: Results by `dataset/analysis`.
        skipped: Why an analysis was not made, likewise.
    """

    datasets: dict[str, dict[str, Any]]
    results: dict[str, Result]
    skipped: dict[str, str]

    def to_json(self) -> dict[str, Any]:
        """Every number, as JSON types; NaN becomes null."""
        return _plain(
            {
                "datasets": self.datasets,
                "results": {
                    key: {"title": r.title, "numbers": r.numbers, "notes": list(r.notes)}
                    for key, r in self.results.items()
                },
                "skipped": self.skipped,
                "versions": {
                    n: metadata.version(n)
                    for n in ("mimic_envs", "numpy", "scipy", "scikit-learn", "xarray")
                },
            }
        )


def analyze(
    datasets: Mapping[str, xarray.Dataset],
    only: Sequence[str] = (),
    progress: Progress = lambda done, total: None,
    emg: pandas.DataFrame | None = None,
) -> Report:
    """Make analyses of datasets; what a dataset does not allow is skipped, with the reason.

    Args:
        datasets: By name.
        only: Names of analyses, see `registry`; all if empty.
        progress: Called with analyses done and in total.
        emg: Recorded EMG, see `emg.read_emg`, with which muscles are compared.

    Raises:
        ValueError: An unknown analysis, or no datasets.
    """
    extras.require("reports", "xarray", "sklearn", "scipy", "matplotlib")
    if not datasets:
        raise ValueError("there are no datasets to be analyzed")
    chosen = {name: registry.get(name) for name in only or registry.names()}
    if emg is not None:
        chosen["emg"] = emg_.against(emg)
    results: dict[str, Result] = {}
    skipped: dict[str, str] = {}
    total = len(datasets) * len(chosen)
    for i, (label, dataset) in enumerate(datasets.items()):
        for k, (name, analysis) in enumerate(chosen.items()):
            progress(i * len(chosen) + k, total)
            try:
                results[f"{label}/{name}"] = analysis(dataset)
            except Missing as reason:
                skipped[f"{label}/{name}"] = str(reason)
    if len(datasets) > 1:
        try:
            results["all/compare"] = tracking.compare(datasets)
        except Missing as reason:
            skipped["all/compare"] = str(reason)
    progress(total, total)
    attributes = {name: _attributes(dataset) for name, dataset in datasets.items()}
    return Report(attributes, results, skipped)


def write(report: Report, folder: Any) -> pathlib.Path:
    """Write `report.html`, `report.json`, `figures/*.svg` and `tables/*.csv`; returns the page.

    The page comes last, so that it is never there without what it names.

    Args:
        report: What `analyze` returned.
        folder: Made if it is not there.
    """
    folder = pathlib.Path(folder)
    check_folder(folder)
    drawn = {}
    for key, result in report.results.items():
        file = re.sub(r"[^A-Za-z0-9_.-]+", "-", key)
        if result.figure is not None:
            drawn[key] = _svg(result.figure)
            _write(folder / "figures" / f"{file}.svg", drawn[key])
        for name, table in result.tables.items():
            _write(folder / "tables" / f"{file}-{name}.csv", table.to_csv(index=False))
    text = json.dumps(report.to_json(), indent=1, allow_nan=False)
    _write(folder / "report.json", text + "\n")
    _write(folder / "report.html", _page(report, drawn))
    return folder / "report.html"


def _write(path: pathlib.Path, text: str) -> None:
    with atomically(path) as partial:
        partial.write_text(text, encoding="utf-8")


def _svg(figure: Any) -> str:
    """A figure as SVG, without a date, so that equal numbers make equal files."""
    import matplotlib

    target = io.StringIO()
    look: Any = style()
    with matplotlib.rc_context(look):
        figure.savefig(target, format="svg", metadata={"Date": None}, dpi=200)
    return target.getvalue()


def _page(report: Report, drawn: Mapping[str, str]) -> str:
    title = "Report on " + ", ".join(report.datasets)
    links = "".join(f'<a href="#{_anchor(key)}">{html.escape(key)}</a>' for key in report.results)
    parts = [
        f"<h1>{html.escape(title)}</h1>",
        f"<nav>{links}</nav>",
        *(_described(name, attributes) for name, attributes in report.datasets.items()),
        *(_section(key, result, drawn.get(key, "")) for key, result in report.results.items()),
    ]
    if report.skipped:
        items = "".join(
            f"<li><b>{html.escape(k)}</b>: {html.escape(v)}</li>" for k, v in report.skipped.items()
        )
        parts.append(f"<h2>Skipped</h2><ul class='note'>{items}</ul>")
    body = "\n".join(parts)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{html.escape(title)}</title><style>{_CSS}</style></head><body>\n{body}\n"
        "</body></html>\n"
    )


def _described(name: str, attributes: Mapping[str, Any]) -> str:
    shown = (
        "body",
        "task",
        "policy",
        "control_hz",
        "trials",
        "frames",
        "replay_error",
        "length_unit",
    )
    cells = "".join(
        f"<tr><td>{html.escape(k)}</td><td>{html.escape(str(attributes[k]))}</td></tr>"
        for k in shown
        if k in attributes
    )
    return f"<h3>{html.escape(name)}</h3><table>{cells}</table>"


def _section(key: str, result: Result, svg: str) -> str:
    # an inline picture has no XML declaration
    picture = svg[svg.index("<svg") :] if svg else ""
    notes = "".join(f"<p class='note'>{html.escape(note)}</p>" for note in result.notes)
    tables = "".join(_table(name, table) for name, table in result.tables.items())
    return (
        f'<section id="{_anchor(key)}"><h2>{html.escape(result.title)} '
        f"<small>({html.escape(key)})</small></h2>"
        f"<figure role='img' aria-label='{html.escape(result.title, quote=True)}'>{picture}"
        f"</figure>{notes}{tables}</section>"
    )


def _table(name: str, table: pandas.DataFrame) -> str:
    if table.empty:
        return ""
    shown = table.head(_SHOWN_ROWS).to_html(
        index=False, border=0, float_format=lambda x: f"{x:.4g}", na_rep=""
    )
    more = len(table) - _SHOWN_ROWS
    rest = f"<p class='note'>{more} more rows are in the CSV file.</p>" if more > 0 else ""
    summary = f"<summary>table: {html.escape(name)}</summary>"
    return f"<details>{summary}<div class='tables'>{shown}</div>{rest}</details>"


def _anchor(key: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", key)


def _attributes(dataset: xarray.Dataset) -> dict[str, Any]:
    sizes = {"trials": int(dataset.sizes["trials"]), "frames": int(dataset.sizes["time"])}
    return _plain(dict(dataset.attrs)) | sizes


def _plain(value: Any) -> Any:
    """JSON types only, NaN as null."""
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, np.ndarray):
        return _plain(value.item() if value.size == 1 else value.tolist())
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
