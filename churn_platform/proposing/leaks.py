"""Leaks: columns that give the label away, because they were written after it was known.

Here: how well one column alone tells who left. Not here: the label (`label_column`), or any model (`modelling`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from churn_platform.company.declaration import DeclaredColumn, Kind
from churn_platform.intake.casting import quoted
from churn_platform.proposing.customers import Key
from churn_platform.proposing.habits import Habits, cast
from churn_platform.proposing.label_column import Label
from churn_platform.proposing.naming import names_leaving
from churn_platform.proposing.sniffing import ROW, Sheet

if TYPE_CHECKING:
    import duckdb

ALONE = 0.95
"""The AUC from which a column alone is too good to be true."""
_NAMED = 0.8
"""The same for one that is named after leaving, such as a churn score."""
FEWEST = 10
"""How many have to have left, and to have stayed, for a column to be judged by them."""
_SAMPLE = 20_000
"""How many labelled customers are looked at, chosen by a hash of their keys."""
_CHANCE = 1e-6
"""How unlikely it may be that only those who left have a value by chance."""
_KEY, _GONE = 'key"', 'gone"'
"""Names that no column has, since none has a quote."""
_FEW = 50
"""How many different values are looked at one by one, whatever their order."""


def take_label(con: duckdb.DuckDBPyConnection, label: Label, key: Key) -> bool:
    """Make the table `target` of keys and whether they left; False where there are too few to judge columns by."""
    column = quoted(label.column)
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE target AS SELECT {key.sql} AS {quoted(_KEY)},"
        f" bool_or(list_contains(?, {column})) AS {quoted(_GONE)} FROM {label.sheet.sql}"
        f" WHERE list_contains(?, {column}) GROUP BY 1 ORDER BY md5({quoted(_KEY)}) LIMIT {_SAMPLE}",
        [list(label.true), [*label.true, *label.false]],
    )
    found = con.execute(
        f"SELECT count(*) FILTER ({quoted(_GONE)}), count(*) FILTER (NOT {quoted(_GONE)}) FROM target"
    ).fetchone()
    assert found is not None  # an aggregate has a row
    left, stayed = found
    return bool(left >= FEWEST and stayed >= FEWEST)


def take_rows(con: duckdb.DuckDBPyConnection, sheet: Sheet, key: Key) -> None:
    """Make the table `labelled` of a sheet's rows about customers whom `take_label` has taken."""
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE labelled AS SELECT sheet.*, {quoted(_GONE)}"
        f" FROM {sheet.sql} AS sheet JOIN target ON {quoted(_KEY)} = {key.sql}"
    )


def leak(con: duckdb.DuckDBPyConnection, sheet: Sheet, column: str, said: DeclaredColumn, habit: Habits) -> str | None:
    """Why a column gives the label away, by the rows that `take_rows` has taken; None where it does not."""
    text = quoted(column)
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE both_known AS SELECT {quoted(_GONE)} AS gone, {ROW} % 2 AS half,"
        f" CASE WHEN NOT list_contains(?::VARCHAR[], {text}) THEN {text} END AS value FROM labelled",
        [list(habit.null_values)],
    )
    filled, gone, base = con.execute(
        "SELECT count(value), count(*) FILTER (gone AND value IS NOT NULL), coalesce(avg(gone::INT), 0) FROM both_known"
    ).fetchone() or (0, 0, 0.0)
    if filled == gone >= FEWEST and base**filled < _CHANCE:
        return f"filled only for {gone:,} who left"
    best = max(_in_order(con, sheet, said, habit), _one_by_one(con))
    if best >= (_NAMED if names_leaving(column) else ALONE):
        return f"alone it tells who left: AUC {best:.3f}"
    return None


def _in_order(con: duckdb.DuckDBPyConnection, sheet: Sheet, said: DeclaredColumn, habit: Habits) -> float:
    """How well the order of numbers or days tells who left, in either direction; blanks come first."""
    if said.kind not in (Kind.INTEGER, Kind.NUMBER, Kind.DATE):
        return 0.5
    number = cast(said.kind, sheet, habit)
    ordered = f"date_diff('day', DATE '1970-01-01', {number})" if said.kind is Kind.DATE else number
    found: Mapping[str, Any] = con.execute(
        f"SELECT ({ordered})::DOUBLE AS score, count(*) AS n, count(*) FILTER (gone) AS gone FROM both_known GROUP BY 1"
    ).fetchnumpy()
    scores = np.ma.filled(np.ma.asarray(found["score"], dtype=np.float64), -np.inf)
    auc = _auc(np.unique(scores, return_inverse=True)[1], found["n"], found["gone"])
    return max(auc, 1 - auc)


def _one_by_one(con: duckdb.DuckDBPyConnection) -> float:
    """How well the share of those who left at each value, in one half of the customers, tells who left in the other."""
    different = con.execute("SELECT count(DISTINCT value) FROM both_known").fetchone()
    if different is None or different[0] > _FEW:
        return 0.5
    found = con.execute(
        "SELECT coalesce(value, '') AS value, half, count(*) AS n, count(*) FILTER (gone) AS gone FROM both_known"
        " GROUP BY 1, 2"
    ).fetchall()
    counts = {(value, half): (n, gone) for value, half, n, gone in found}
    base = sum(gone for _, gone in counts.values()) / max(sum(n for n, _ in counts.values()), 1)

    def share(value: str, half: int) -> float:
        n, gone = counts.get((value, half), (0, 0))
        return float((gone + base) / (n + 1))

    scores = np.array([share(value, 1 - half) for value, half in counts])
    return _auc(scores, np.array([n for n, _ in counts.values()]), np.array([gone for _, gone in counts.values()]))


def _auc(scores: np.ndarray, rows: np.ndarray, gone: np.ndarray) -> float:
    """The AUC of scores, each of so many rows of which so many left."""
    from sklearn.metrics import roc_auc_score

    truth = np.repeat([1, 0], len(scores))
    weights = np.concatenate([gone, rows - gone])
    if not weights[truth == 1].sum() or not weights[truth == 0].sum():
        return 0.5
    return float(roc_auc_score(truth, np.tile(scores, 2), sample_weight=weights))
