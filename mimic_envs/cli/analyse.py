"""`mimic-envs analyse`: a report on recorded behavior."""

from __future__ import annotations

import pathlib
from typing import Annotated

import tyro

from mimic_envs import extras
from mimic_envs.cli.console import OUT, progress, say
from mimic_envs.files import check_folder


def analyse(
    recordings: Annotated[
        tuple[pathlib.Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="FILE")
    ],
    out: pathlib.Path = pathlib.Path("report"),
    only: tuple[str, ...] = (),
    emg: pathlib.Path | None = None,
) -> None:
    """Report on recorded behavior: one page with figures, every number, and tables.

    Writes report.html, which needs no other file, report.json, figures/*.svg and tables/*.csv.
    Analyses whose variables a recording lacks are skipped, and the page says why. Several
    recordings are compared, too.

    Args:
        recordings: Files that `mimic-envs record` or `mimic-envs experiment` wrote.
        out: Folder of the report.
        only: Names of analyses, or module:name; all if not given.
        emg: CSV file of recorded EMG: `time_s`, `trial` with names of trials, and columns with
            names of muscles or of groups of muscles, raw or as envelopes.
    """
    extras.require("reports", "xarray", "h5netcdf", "sklearn", "scipy", "matplotlib")
    from mimic_envs import rollouts
    from mimic_envs.analysis import emg as emg_
    from mimic_envs.analysis import registry, report

    if not recordings:
        raise ValueError("give at least one recording")
    for name in only:
        registry.get(name)
    check_folder(out)
    table = None if emg is None else emg_.read_emg(emg)
    names = labels(recordings)
    datasets = {name: rollouts.load(path) for name, path in zip(names, recordings, strict=True)}
    with progress("analyzing") as bar:
        found = report.analyze(datasets, only, bar, table)
    page = report.write(found, out)
    for key, reason in found.skipped.items():
        say(f"skipped {key}", reason)
    OUT.print(f"{len(found.results)} analyses, {len(found.skipped)} skipped")
    say("report", page)


def labels(paths: tuple[pathlib.Path, ...]) -> list[str]:
    """Different names of files for a report."""
    stems = [path.stem for path in paths]
    if len(set(stems)) == len(stems):
        return stems
    return [f"{stem}-{i + 1}" for i, stem in enumerate(stems)]
