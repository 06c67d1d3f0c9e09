"""`mimic-envs list`: what there is."""

from __future__ import annotations

from rich.table import Table

from mimic_envs import ENV_IDS, TASK_IDS
from mimic_envs.cli.console import OUT


def list_() -> None:
    """Show environment ids, their sizes and generated clip sets."""
    from mimic_envs import bodies
    from mimic_envs import clips as clips_

    table = Table("id, body, species", "size", "generated clips")
    table.columns[0].no_wrap = True
    for env_id, name in ENV_IDS.items():
        body = bodies.get(name)
        sets = []
        for clip_set in clips_.generated_sets(body):
            loaded = clips_.load(clip_set, body)
            sets.append(f"{clip_set}: {len(loaded)}, {loaded.duration_s:.0f} s")
        size = f"{len(body.hinge_names)} joints\n{body.model.nu} actuators"
        table.add_row(
            f"[bold]{env_id}[/bold]\n{name}\n{body.species}",
            f"{size}\n{1 / body.control_timestep_s:g} Hz",
            "\n".join(sets),
            end_section=True,
        )
    OUT.print(table)
    if TASK_IDS:
        others = Table("id of another task", "body", "task")
        for env_id, (name, task) in TASK_IDS.items():
            others.add_row(f"[bold]{env_id}[/bold]", name, task)
        OUT.print(others)
