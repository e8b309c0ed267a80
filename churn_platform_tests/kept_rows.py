"""Kept rows as others change them: a value, a row, or an erased customer, past the platform.

Here: what several tests do to the files. Not here: what is said of it (the tests).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from churn_platform.tables.proofs import ENDING


def rewrite(path: Path, change: Callable[[pa.Table], pa.Table], **options: object) -> None:
    """Replace a Parquet file by what becomes of its rows."""
    pq.write_table(change(pq.ParquetFile(path).read()), path, **options)


def put(path: Path, row: int, column: str, value: object) -> None:
    """Change one value."""

    def change(table: pa.Table) -> pa.Table:
        values = table[column].to_pylist()
        values[row] = value
        return table.set_column(table.column_names.index(column), column, pa.array(values, table[column].type))

    rewrite(path, change)


def erase(path: Path, row: int) -> None:
    """Erase one row as `tables.proofs` says: out of its file, and its salt out of the proof."""
    rewrite(path, lambda table: pa.concat_tables([table[:row], table[row + 1 :]]))

    def without_salt(proof: pa.Table) -> pa.Table:
        left = [position for position, salt in enumerate(proof["salt"].to_pylist()) if salt is not None]
        salts = pc.if_else(pc.equal(proof["position"], left[row]), pa.scalar(None, proof["salt"].type), proof["salt"])
        return proof.set_column(proof.column_names.index("salt"), "salt", salts)

    rewrite(path.with_suffix(ENDING), without_salt)
