"""CSV files torn in every way: their records are rows or named unreadable lines, or they are refused in words."""

from __future__ import annotations

from pathlib import Path

from churn_platform_tests.torture.csv_files import torture

FILES = 200
"""How many files one test tears."""


def test_every_record_is_accounted_for(hundreds_of_files: int, seed: int, tmp_path: Path) -> None:
    assert list(torture(seed + hundreds_of_files, FILES, tmp_path)) == []
