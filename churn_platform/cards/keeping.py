"""Keeping: a version's card where people look at the version in MLflow.

Here: making it anew, as MLflow can show it, and putting it there. Not here: when that is due, which those know who
change what it says (`assets`, `automation.jobs`).

The card is made from what is on record, so that whoever makes it later gets the same; one that could not be put there
is put there the next time.
"""

from __future__ import annotations

from churn_platform.cards.known import KnownVersion, known
from churn_platform.cards.page import Section, page, sections
from churn_platform.champion.registry import MODEL, Registry, bounded
from churn_platform.files.scratch import scratch
from churn_platform.home import Home

FILE = "card.md"

MOST = 5000
"""How many characters of a description MLflow keeps: PostgreSQL refuses more, SQLite does not."""

_GAP = "&ensp;"
"""What stands before a cell: MLflow draws tables without any room between their columns, and removes blanks."""

_LAST = ("Purpose", "Decision", "Figures", "Limits")
"""The sections that are the last to be left out."""


def keep(home: Home, number: int) -> str:
    """Make the version's card and put it into MLflow: as its description, and in full with its run. Raises Faults."""
    found = known(home, number)
    whole = page(found)
    _put(home.registry, number, found.version.run_id, description(found), whole)
    return whole


def description(known: KnownVersion) -> str:
    """The card as the description of its version: the longest sections that do not fit say how to see them instead."""
    parts = [Section(title, tuple(map(_spaced, lines))) for title, lines in sections(known)]
    short = f"Too long for this place: it is in `{FILE}` of the run, and `churn card {known.version.number}` shows it."
    for at in sorted(range(len(parts)), key=lambda at: (parts[at].title in _LAST, -len(parts[at].text))):
        if len(page(known, parts)) <= MOST:
            break
        parts[at] = Section(parts[at].title, (short,))
    return page(known, parts)


def _spaced(line: str) -> str:
    is_row = line.startswith("| ") and not line.startswith("| ---")
    return line.replace(" | ", f" | {_GAP}") if is_row else line


@bounded
def _put(registry: Registry, number: int, run_id: str, description: str, whole: str) -> None:
    """Put both there. The client's own `log_text` would remember where a run of this id had its files in another home.

    Two homes in one process have runs of one id where one of them is a copy.
    """
    client = registry.client
    with registry.reachable(), scratch(registry.scratch) as folder:
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        (file := folder / FILE).write_bytes(whole.encode())
        place = client.get_run(run_id).info.artifact_uri
        get_artifact_repository(place, tracking_uri=registry.mlflow_uri).log_artifact(str(file))  # type: ignore[no-untyped-call]
        if client.get_model_version(MODEL, str(number)).description != description:
            client.update_model_version(MODEL, str(number), description)
