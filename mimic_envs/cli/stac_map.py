"""`mimic-envs stac map`: which keypoint of a tracker is which of a body."""

from __future__ import annotations

import pathlib
from typing import Annotated

import tyro
from rich.markup import escape
from rich.table import Table

from mimic_envs.cli.console import OUT, say
from mimic_envs.cli.stac import APP
from mimic_envs.files import check_output

Path = Annotated[pathlib.Path, tyro.conf.Positional, tyro.conf.arg(metavar="FILE")]
Body = Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="BODY")]


@APP.command(name="map")
def map_(
    path: Path,
    body: Body,
    out: pathlib.Path = pathlib.Path("mapping.csv"),
    page: pathlib.Path = pathlib.Path("mapping.html"),
    names: pathlib.Path | None = None,
    animal: int = 0,
    reader: str | None = None,
) -> None:
    """Propose which keypoint of a recording is which of a body, for stac fit --mapping.

    Pairs follow from names and from distances. The page shows both skeletons side by side; pairs
    can be changed there by clicking, and saved.

    Args:
        path: Keypoints, in any format that stac fit reads.
        body: Name of the body, for example rodent; or module:name of a body.
        out: Table to write, with the columns source, keypoint and weight.
        page: HTML page to write.
        names: Skeleton with the names of the keypoints, for files without.
        animal: Which animal in a file with several, counted from 0.
        reader: Ending of another kind of file, or module:name of a function, as in stac fit.
    """
    from mimic_envs import bodies, stac
    from mimic_envs.stac import proposal
    from mimic_envs.viz.mapping import write_page

    check_output(out, ".csv")
    check_output(page, ".html", ".htm")
    target = bodies.get(body)
    # neither rate nor unit matters for names and for distances in relation to one another
    keypoints = stac.read(path, 1.0, "m", target, names, animal, reader)
    pairs = proposal.propose(keypoints, target)
    proposal.write(out, pairs)
    write_page(page, keypoints, target, pairs)
    table = Table("recording", f"body {target.name}", "likelihood")
    for pair in pairs:
        table.add_row(escape(pair.source), escape(pair.keypoint), f"{pair.likelihood:.2f}")
    OUT.print(table)
    taken = {pair.keypoint for pair in pairs}
    left = [name for name in target.keypoints if name not in taken]
    if left:
        say("not recorded", ", ".join(left))
    say("table", out)
    say("page", page)
