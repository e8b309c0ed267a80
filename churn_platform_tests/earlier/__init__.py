"""Homes of earlier versions, as they left them: people keep months in such homes, so every version has to open them.

Each was made by that version's own commands at `/churn`, with a company of 400 customers (`churn simulate --months 3
--customers 400 --seed 3`): two months closed, each retrained, version 2 appointed by hand. Reports and logs were
left out.

`0.1.0-production` is what its stack kept, made likewise by its programs, MLflow's server and serving: the volumes
`home` and `artifacts`, and both databases as pg_dump writes them. Serving had answered for three customers.
"""

from __future__ import annotations

import tarfile
from pathlib import Path

from churn_platform.backup.restoring import Move
from churn_platform.settings import Settings
from churn_platform_tests import homes

_MADE_AT = Path("/churn/home")


def production(version: str, folder: Path) -> Path:
    """A folder with what a version's stack kept: `home`, `artifacts`, `churn.sql` and `mlflow.sql`."""
    _unpack(f"{version}-production", folder)
    return folder


def unpacked(version: str, folder: Path) -> Settings:
    """The settings of a version's home, copied into a folder with its drops and one more month."""
    _unpack(version, folder)
    Move(_MADE_AT, folder / "home").store(folder / "home" / "mlflow")
    homes.deliver(folder / "drops", months=3, customers=400)
    return homes.settings_of(folder)


def _unpack(name: str, folder: Path) -> None:
    safely = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}  # which Python 3.11 lacks before 3.11.4
    with tarfile.open(Path(__file__).with_name(f"{name}.tar.xz")) as packed:
        packed.extractall(folder, **safely)  # type: ignore[arg-type]
