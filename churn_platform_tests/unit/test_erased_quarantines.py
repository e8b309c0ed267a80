"""Quarantines of which customers are erased: their broken rows go, whatever their keys look like, and no others."""

from __future__ import annotations

import ibis
import pytest

from churn_platform.erasure import quarantines
from churn_platform.lake import Lake
from churn_platform.months import Month
from churn_platform.tables.names import quarantine
from churn_platform.tombstones import Tombstones

MONTH = Month.parse("2024-01")
ROWS = [
    ("users.csv", 2, "user_id", "7", "duplicate key"),
    ("users.csv", 2, "signup_date", "never", "is no date"),
    ("users.csv", 3, "has_family", "7", "is neither true nor false"),
    ("users.csv", 4, "", "8,2024-01-01,7,x", "ragged line"),
    ("users.csv", 5, "", "7,2024-01-01", "ragged line"),
    ("users.csv", 6, "", '"O\'Brien, Pat",2024-01-01', "ragged line"),
    ("users.csv", 7, "", "Anna Maria 7;x", "ragged line"),
    ("users.csv", 8, "user_id", None, "is blank"),
]


def left(lake: Lake, *customers: str) -> list[int]:
    """The lines that are still told of."""
    kinds = {"file": "string", "line": "int64", "column": "string", "value": "string", "rule": "string"}
    rows = ibis.memtable(ROWS, schema=kinds)
    lake.write_file(lake.path(quarantine("users"), MONTH), rows)
    changed = quarantines.erase(lake, customers, {})
    found = lake.read(quarantine("users"), MONTH)["line"].to_pandas().tolist()
    assert sum(one.rows for one in changed.values()) == len(ROWS) - len(found)
    return sorted(set(found))


@pytest.mark.parametrize(
    ("customers", "gone"),
    [
        (["7"], {2, 5}),  # both rows of line 2; not the 7 in other columns, which is somebody else's
        (["8"], {4}),
        (["O'Brien, Pat"], {6}),
        (["Anna Maria 7"], {7}),
        (["7", "O'Brien, Pat"], {2, 5, 6}),
        (["never", "x", ""], set()),
    ],
)
def test_their_rows_go_and_no_others(lake: Lake, customers: list[str], gone: set[int]) -> None:
    assert left(lake, *customers) == [line for line in range(2, 9) if line not in gone]


def test_who_stands_in_a_quarantine_is_known(lake: Lake, tmp_path_factory: pytest.TempPathFactory) -> None:
    left(lake)
    assert quarantines.named(lake, ["7", "8", "never", "O'Brien, Pat", "nobody"]) == {"7", "8", "O'Brien, Pat"}
    tombstones = Tombstones(tmp_path_factory.mktemp("erased"))
    assert quarantines.erased_in(lake, tombstones) == set()
    tombstones.add(["8", "nobody"], "2024-03-01")
    assert quarantines.erased_in(lake, tombstones) == {"8"}
