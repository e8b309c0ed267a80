"""Keeping: the commands that take a backup and bring it back.

Here: `backup` and `restore`, and what they print. Not here: what is in a backup (`backup`).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from churn_platform.progress import Progress, Step
from churn_platform.saying import say
from churn_platform.settings import begin
from churn_platform.shown import counted
from churn_platform.tombstones import Tombstones

if TYPE_CHECKING:
    from collections.abc import Callable

_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.argument("file", type=_FILE)
def backup(file: Path) -> None:
    """Back up CHURN_HOME and the platform's PostgreSQL databases, as of one moment, into FILE.

    The company's declaration is in it too. FILE must not exist yet. The platform can keep running. Drops are not
    included.
    """
    from churn_platform.backup.making import make
    from churn_platform.home import Home

    progress = Progress()
    with progress.of("backing up"):
        made = make(Home(begin()), file, _steps(progress, "backing up"))
    size = f"{file.stat().st_size / 1e6:.1f} MB"
    say(f"{file}: {counted(made.files, 'file')} and {counted(made.databases, 'database')} of {made.made_at}, {size}")
    for sentence in made.lacks:
        say(f"Note: {sentence}", err=True)


@click.command()
@click.argument("file", type=_FILE)
def restore(file: Path) -> None:
    """Bring back what FILE holds, as `churn backup` wrote it.

    CHURN_HOME and the PostgreSQL databases must be empty; they need not be the ones that were backed up.
    """
    from churn_platform.automation.instance import open_instance
    from churn_platform.automation.restored import end_runs
    from churn_platform.backup import restoring

    settings, progress = begin(whole=False), Progress()
    with progress.of("restoring"):
        inventory = restoring.restore(settings, file, _steps(progress, "restoring"))
        with open_instance(settings) as instance:
            ended = end_runs(instance, inventory.made_at)
        restoring.finish(settings.home)
    say(f"{settings.home}: restored as of {inventory.made_at}")
    erased = Tombstones(settings.tombstones_folder)
    if not erased.hashes and str(settings.home) != inventory.home:
        say(
            f"Nobody was erased again: there are no tombstones in {erased.folder} (CHURN_TOMBSTONES). If customers were"
            f" erased in {inventory.home} since, name that platform's folder, and restore again"
        )
    if (company := restoring.declaration(settings, inventory)) != settings.company:
        unset = "Unset CHURN_COMPANY, since the company is the example that is shipped,"
        to_do = f"Set CHURN_COMPANY={company}, the company's declaration," if company else unset
        say(f"{to_do} before anything else is started")
    if ended:
        say(f"{counted(ended, 'run')} had not ended then: repeat what you began; what began by itself does so again")


def _steps(progress: Progress, task: str) -> Callable[[str], None]:
    """What tells the progress each step, by its name alone."""
    return lambda name: progress.step(Step(task, 0, 0, name))
