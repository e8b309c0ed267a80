"""Metadata: what a person sees of an asset in the UI, shown the same way everywhere.

Here: previews, schemas, links. Not here: figures that only one asset has.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from typing import Any

import dagster as dg

from churn_platform.contracts import Table
from churn_platform.lake import Written
from churn_platform.shown import inert

OWNERS = ["team:data-platform"]
PREVIEW_ROWS = 5


def table_schema(table: Table) -> dg.TableSchema:
    """A contract's table for the UI's Columns tab."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                column.name,
                column.kind.value,
                column.meaning,
                dg.TableColumnConstraints(nullable=column.nullable or column.optional),
                tags={"role": column.role.value},
            )
            for column in table.columns
        ]
    )


class Words(str):
    """Words of the platform's own, such as a rule, which may mean something in Markdown."""

    __slots__ = ()


def markdown_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> dg.MarkdownMetadataValue:
    """A small table in Markdown; unknown values are left blank, and all that are not `Words` made inert."""

    def cell(value: object) -> str:
        if isinstance(value, Words):
            return value.replace("|", "\\|")
        return "" if value is None or value != value else inert(f"{value:.6g}" if isinstance(value, float) else value)

    lines = [" | ".join(columns), " | ".join("---" for _ in columns)]
    lines += [" | ".join(cell(value) for value in row) for row in rows]
    return dg.MetadataValue.md("\n".join(f"| {line} |" for line in lines))


def of_table(written: Written) -> dict[str, Any]:
    """The metadata of a table in the lake: its rows, a preview, where it is and the hash of its bytes."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(written.path) as file:
        head = next(file.iter_batches(PREVIEW_ROWS), file.schema_arrow.empty_table())
    return {
        "dagster/row_count": written.rows,
        "preview": markdown_table(head.column_names, (tuple(row.values()) for row in head.to_pylist())),
        "path": dg.MetadataValue.path(written.path),
        "sha256": written.sha256,
    }


def not_due(context: dg.AssetExecutionContext, reason: str) -> dg.MaterializeResult:
    """The result of a month in which nothing was due. Without one, Dagster counts the month of a backfill as failed."""
    context.log.info(reason)
    return dg.MaterializeResult(metadata={"reason": reason})


def picture(png: bytes) -> dg.MarkdownMetadataValue:
    """A PNG, shown in place."""
    return dg.MetadataValue.md(f"![](data:image/png;base64,{base64.b64encode(png).decode()})")
