"""Opening: MLflow's store has all of its tables, or is not there, and one process at a time makes them.

Here: the embedded store, one SQLite file, and the lock of one on PostgreSQL, which takes back by itself what a kill has
cut short. Not here: what is asked of the store (`registry`). A tracking server makes its tables itself.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from churn_platform.faults import Fault
from churn_platform.files import locked
from churn_platform.files.links import plain

SCHEME = "sqlite:///"
_IN_USE = {
    "runs": "SELECT 1 FROM runs LIMIT 1",
    "logged_models": "SELECT 1 FROM logged_models LIMIT 1",
    "registered_models": "SELECT 1 FROM registered_models LIMIT 1",
}
"""Tables whose rows somebody would miss, and how to ask whether there are any."""
_LOCK = 5_120_241_164  # any number that other programs on a PostgreSQL do not lock
_CONNECT_SECONDS = 10
_LOCK_SECONDS = 120  # longer than MLflow takes to make its tables
_DAMAGED = ("malformed", "not a database", "no such table", "no such column")
"""What SQLite says of a file that was cut, or whose tables somebody has changed."""
_SCHEMA = "SELECT version_num FROM alembic_version UNION SELECT name FROM sqlite_master"


class StoreLostError(Fault):
    """A store that had versions is empty; the message names it."""


def uri_of(path: Path) -> str:
    """The file's URI for MLflow, which takes what follows a `?` for an option."""
    return f"{SCHEME}{plain(path.parent) / path.name}"


def prepare(path: Path, experiment: str, artifacts: Path) -> None:
    """Make the store with its experiment where there is none, or where a kill has left tables that hold nothing.

    MLflow makes its tables one by one: a process that is killed meanwhile, or that meets another one doing the same,
    leaves tables that no later one can finish. So they are made in another file, under a lock. Raises sqlite3.Error
    where the file is damaged, StoreLostError, and OSError.
    """
    if _has(path, experiment):
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with locked(path.with_name(".lock")):
        if _has(path, experiment) or _is_in_use(path):
            return
        if artifacts.is_dir() and any(artifacts.iterdir()):
            raise StoreLostError(
                f"the MLflow store {path} has lost its tables, but {artifacts} holds models: restore both from a "
                f"backup, or move {path.parent} away to begin without versions"
            )
        made = path.with_name(f".{path.name}.new")
        _remove(made)
        _make(made, experiment, artifacts)
        if _schema(path) >= _schema(made):  # whole, and perhaps open in another program: it lacks the experiment alone
            _remove(made)
            return
        _remove(path)  # its journal too, which would be played back into the new file
        made.rename(path)


def damage(path: Path, reason: str) -> str | None:
    """A sentence where a reason that SQLite gives means that the file is damaged, otherwise None."""
    if any(sign in reason for sign in _DAMAGED):
        return (
            f"the MLflow store {path} is damaged: {reason}; restore it from a backup, or move {path.parent} away to "
            "begin without versions"
        )
    return None


@contextmanager
def alone(uri: str) -> Iterator[None]:
    """Be the only process that opens a store on PostgreSQL, since two that make its tables at once fail."""
    if not uri.startswith("postgresql"):
        yield
        return
    import sqlalchemy

    engine = sqlalchemy.create_engine(
        uri, poolclass=sqlalchemy.NullPool, connect_args={"connect_timeout": _CONNECT_SECONDS}
    )
    with engine.connect() as connection:  # closing it releases the lock
        connection.execute(sqlalchemy.text(f"SET statement_timeout = '{_LOCK_SECONDS}s'"))
        connection.execute(sqlalchemy.text(f"SELECT pg_advisory_lock({_LOCK})"))
        yield


def _make(path: Path, experiment: str, artifacts: Path) -> None:
    from mlflow import MlflowClient

    MlflowClient(uri_of(path)).create_experiment(experiment, artifacts.as_uri())
    with path.open("rb") as written:
        os.fsync(written.fileno())


def _remove(path: Path) -> None:
    for ending in ("-journal", "-wal", "-shm", ""):
        path.with_name(path.name + ending).unlink(missing_ok=True)


def _has(path: Path, experiment: str) -> bool:
    """Whether the file has the experiment, which is made last."""
    try:
        return bool(_ask(path, "experiments", "SELECT 1 FROM experiments WHERE name = ?", experiment))
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_BUSY:
            return True  # whoever has locked it uses it, and MLflow waits for them
        raise


def _is_in_use(path: Path) -> bool:
    return any(_ask(path, table, question) for table, question in _IN_USE.items())


def _schema(path: Path) -> set[str]:
    """The tables, and the revision that they have reached."""
    return {str(name) for (name,) in _ask(path, "alembic_version", _SCHEMA)}


def _ask(path: Path, table: str, question: str, *values: str) -> list[tuple[object, ...]]:
    """The answer's rows; none where there is no such table, or no file."""
    if not path.exists():
        return []
    # It must be writable: what a kill has left in a journal is played back first.
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=0)) as database:
        if not database.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (table,)).fetchall():
            return []
        return database.execute(question, values).fetchall()
