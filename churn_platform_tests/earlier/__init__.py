"""Homes of earlier versions, as they left them: people keep months in such homes, so every version has to open them.

Each was made by that version's own commands at `/churn`, with a company of 400 customers (`churn simulate --months 3
--customers 400 --seed 3`): two months closed, each retrained, version 2 appointed by hand. Reports and logs were
left out.
"""

from __future__ import annotations

import tarfile
from pathlib import Path

from churn_platform.settings import Settings
from churn_platform_tests import homes

_MADE_AT = Path("/churn/home")


def unpacked(version: str, folder: Path) -> Settings:
    """The settings of a version's home, copied into a folder with its drops and one more month."""
    with tarfile.open(Path(__file__).with_name(f"{version}.tar.xz")) as packed:
        packed.extractall(folder, filter="data")
    homes.move_mlflow(_MADE_AT, folder / "home")
    homes.deliver(folder / "drops", months=3, customers=400)
    return homes.settings_of(folder)
