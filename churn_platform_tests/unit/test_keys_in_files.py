"""Keys in files: a table's `key` is the customer's there, whatever else has that name in its file."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from churn_platform.company.reading import parse
from churn_platform.contracts import Contract, Table
from churn_platform.intake.drops import DropError
from churn_platform.intake.reading import read, read_header

SHOP = """
[company]
name = "Shop"
[customer]
key = "id"
[tables.people]
meaning = "Who buys."
customers = true
[tables.people.columns]
Age = { kind = "integer", meaning = "Years." }
[tables.orders]
meaning = "What they buy."
key = "customer_id"
[tables.orders.columns]
Total = { kind = "number", meaning = "What it costs." }
"""
OWN = 'Order = { kind = "text", role = "ignored", header = "id", meaning = "The order." }\nTotal ='
ROWS = {"id": ["7", "8"], "customer_id": ["a", "b"], "Total": ["1", "2"]}


def orders(text: str = SHOP) -> Table:
    return Contract(parse(text, "shop.toml")).states[1]


def written(folder: Path, ending: str, rows: dict[str, list[str]]) -> Path:
    path = folder / f"orders{ending}"
    if ending == ".parquet":
        pq.write_table(pa.table(rows), path)
    else:
        path.write_text("\n".join(",".join(line) for line in ([*rows], *zip(*rows.values(), strict=True))) + "\n")
    return path


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        (SHOP, {"id": ["a", "b"], "Total": ["1", "2"]}),
        (SHOP.replace("Total =", OWN), {"Order": ["7", "8"], "id": ["a", "b"], "Total": ["1", "2"]}),
    ],
)
def test_a_tables_key_is_the_key_whatever_else_has_its_name(
    tmp_path: Path, ending: str, said: str, wanted: dict[str, list[str]]
) -> None:
    path = written(tmp_path, ending, ROWS)
    read_header(path, path.name, orders(said))
    assert read(duckdb.connect(), path, path.name, orders(said)).rows.to_pydict() == wanted


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_what_only_has_the_keys_name_is_not_taken_for_it(tmp_path: Path, ending: str) -> None:
    path = written(tmp_path, ending, {"id": ["7", "8"], "Total": ["1", "2"]})
    with pytest.raises(DropError, match=r"table orders lacks column customer_id$"):
        read_header(path, path.name, orders())
    with pytest.raises(DropError, match=r"table orders lacks column customer_id$"):
        read(duckdb.connect(), path, path.name, orders())
