"""The catalog: every table and column that analysts read is described, and the page shows the catalog."""

from __future__ import annotations

from pathlib import Path

import pytest

from churn_platform.lake import Lake
from churn_platform.settings import Settings
from churn_platform.tables.catalog import CatalogTable, page
from churn_platform.tables.names import CHURN_SCORES, FEATURES
from churn_platform_tests import homes
from churn_platform_tests.streamflow import CATALOG, LABELS, SNAPSHOTS, STREAMFLOW

ROOT = Path(__file__).parents[2]
FIRST = homes.MONTHS[0]


def test_the_tables_page_is_what_the_catalog_says() -> None:
    assert (ROOT / "docs/tables.md").read_text() == page(STREAMFLOW), "run `make docs`"


def test_what_is_published() -> None:
    assert [table.name for table in CATALOG] == [*SNAPSHOTS, FEATURES, CHURN_SCORES, LABELS.name]


@pytest.mark.parametrize("table", CATALOG, ids=lambda table: table.name)
def test_every_column_is_told(table: CatalogTable) -> None:
    meanings = table.meanings()
    assert list(meanings)[:2] == ["as_of", "user_id"]
    assert len(meanings) == len(table.columns)
    assert all(meaning.endswith(".") for meaning in [table.meaning, *meanings.values()])


def test_categories_name_their_values() -> None:
    (features,) = (table for table in CATALOG if table.name == FEATURES)
    assert features.meanings()["net_service"] == "The internet connection. One of: DSL, Fiber optic, No."


def test_the_lake_holds_these_columns(lake: Lake, tmp_path: Path) -> None:
    homes.land(lake, FIRST, homes.deliver(tmp_path / "drops"), labels=True)
    homes.close(lake, FIRST)
    for table in CATALOG:
        if table.name != CHURN_SCORES:  # which needs a champion: see the publication assets' tests
            columns = set(lake.read(table.source, FIRST).columns) | {"as_of"}
            assert columns == {column.name for column in table.columns}, table.name


def test_the_online_store_is_the_platforms_postgresql_unless_it_has_its_own(tmp_path: Path) -> None:
    platform, own = "postgresql://churn:hidden@db/churn", "postgresql://churn:hidden@db/online"
    assert Settings(home=tmp_path, postgres_url=platform).online_store == platform
    both = Settings(home=tmp_path, postgres_url=platform, online_store_url=own)
    assert both.online_store == own
    embedded = f"sqlite:///{tmp_path}/elsewhere.db"
    assert Settings(postgres_url=platform, online_store_url=embedded).online_store == embedded
    assert "hidden" not in f"{both!r}"
