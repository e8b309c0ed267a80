"""Homes of earlier versions, as they left them: people have months in such homes, so every version has to open them.

Each was made by that version's own commands at `/churn`, with a company of 400 customers (`churn simulate --months 3
--customers 400 --seed 3`): two months closed, each retrained, version 2 appointed by hand. Reports and logs were
left out.
"""

from __future__ import annotations

import sqlite3
import tarfile
from contextlib import closing
from pathlib import Path

from churn_platform.settings import Settings
from churn_platform_tests import homes

_MADE_AT = "/churn/home"


def unpacked(version: str, folder: Path) -> Settings:
    """The settings of a version's home, put under a folder with its drops and one more month."""
    with tarfile.open(Path(__file__).with_name(f"{version}.tar.xz")) as packed:
        packed.extractall(folder, filter="data")
    _move(folder / "home")
    homes.deliver(folder / "drops", months=3, customers=400)
    return homes.settings_of(folder)


def _move(home: Path) -> None:
    """Have MLflow find its files where they are now, since it remembers whole paths."""
    with closing(sqlite3.connect(home / "mlflow" / "mlflow.db")) as database:
        for (table,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            for _, column, kind, *_ in database.execute(f"PRAGMA table_info('{table}')").fetchall():
                if kind.startswith(("VARCHAR", "TEXT")):
                    database.execute(
                        f'UPDATE "{table}" SET "{column}" = replace("{column}", ?, ?) WHERE "{column}" LIKE ?',
                        (_MADE_AT, str(home), f"%{_MADE_AT}%"),
                    )
        database.commit()
    for path in home.rglob("MLmodel"):
        path.write_text(path.read_text().replace(_MADE_AT, str(home)))
