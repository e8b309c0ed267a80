"""What a declaration means for closed months and for a version: told before anybody meets it."""

from __future__ import annotations

import ibis
import msgspec
import pytest

from churn_platform.bundle import Feature
from churn_platform.company.declaration import Declaration, DeclaredColumn, DeclaredDerived, Kind, Role
from churn_platform.contracts import Contract
from churn_platform.lake import Lake
from churn_platform.tables.declared import of_months, of_retraining, of_version
from churn_platform.tables.features import ChangedColumnError, as_declared, schema
from churn_platform.tables.training_set import NotTrainableError, holdout, training_rows
from churn_platform_tests import homes
from churn_platform_tests.streamflow import SCHEMA, STREAMFLOW, USERS

FIRST = homes.MONTHS[0]
SAID = STREAMFLOW.declaration


def with_column(name: str, column: DeclaredColumn | None) -> Contract:
    """StreamFlow with one more column of its users, or without one."""
    users = SAID.tables["users"]
    columns = {key: value for key, value in users.columns.items() if key != name} | ({name: column} if column else {})
    return Contract(declared(tables={**SAID.tables, "users": msgspec.structs.replace(users, columns=columns)}))


def declared(**changes: object) -> Declaration:
    return msgspec.structs.replace(SAID, **changes)


def column(kind: Kind = Kind.INTEGER, **more: object) -> DeclaredColumn:
    return DeclaredColumn(kind=kind, meaning="New.", **more)  # type: ignore[arg-type]  # fields by name


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A closed month with labels. Read only."""
    folder = tmp_path_factory.mktemp("declared")
    lake = Lake(folder / "lake", STREAMFLOW)
    homes.land(lake, FIRST, homes.deliver(folder / "drops", 1, 80, 5), labels=True)
    homes.close(lake, FIRST)
    return lake


def sentences(lake: Lake, contract: Contract, version: tuple[Feature, ...] = SCHEMA) -> list[tuple[str, bool]]:
    now = Lake(lake.root, contract)
    found = (*of_months(now), *of_version(now, 3, FIRST, version), *of_retraining(now, 3, version))
    return [(consequence.sentence, consequence.pressing) for consequence in found]


def test_nothing_follows_from_what_has_not_changed(closed: Lake) -> None:
    assert sentences(closed, STREAMFLOW) == []


def test_a_new_column_is_pressing_unless_it_says_since_when(closed: Lake) -> None:
    learns = ("a retrain learns visits, which version 3 does not know", False)
    told = "2024-01 lacks visits, so no version is trained on it: close it again (churn close 2024-01)"
    assert sentences(closed, with_column("visits", column())) == [(told, True), learns]
    assert sentences(closed, with_column("visits", column(since="2024-02"))) == [learns]


def test_a_column_that_is_gone_is_pressing_where_the_champion_needs_it(closed: Lake) -> None:
    (left, pressing), (needs, also) = sentences(closed, with_column("has_family", None))
    assert (left, pressing) == ("closed months have has_family, declared no more: new versions do without", False)
    assert (needs.partition(":")[0], also) == ("the champion, version 3, cannot score a month without has_family", True)
    known = tuple(msgspec.structs.replace(feature, nullable=True, required=False) for feature in SCHEMA)
    assert sentences(closed, with_column("has_family", None), known)[1:] == [
        ("the champion, version 3, goes on with has_family unknown", False)
    ]


def test_another_kind_and_another_key_are_pressing(closed: Lake) -> None:
    other = with_column("has_family", column(Kind.NUMBER))
    assert [p for told, p in sentences(closed, other) if "knows has_family as another kind" in told] == [True]
    customer = msgspec.structs.replace(SAID.customer, key="customer")
    told, pressing = sentences(closed, Contract(declared(customer=customer)))[0]
    assert pressing
    assert told.startswith("2024-01 was closed by another key than customer")


def test_training_refuses_what_a_month_lacks_and_takes_what_is_dated(closed: Lake) -> None:
    years = DeclaredDerived(sql="months_active / 12", meaning="Years.")
    derived = {**SAID.features.derived, "years": years}
    changed = Contract(declared(features=msgspec.structs.replace(SAID.features, derived=derived)))
    with pytest.raises(NotTrainableError, match="the features of 2024-01 lack years, which is declared now: close"):
        training_rows(Lake(closed.root, changed), [FIRST])
    dated = Lake(closed.root, with_column("joined", column(Kind.DATE, since="2024-02")))
    rows = training_rows(dated, [FIRST]).to_pandas()
    assert rows["days_since_joined"].isna().all()
    assert list(rows.columns)[1:-2] == [feature.name for feature in schema(dated.contract)]


def test_a_new_segment_is_unknown_in_an_older_month(closed: Lake) -> None:
    lake = Lake(closed.root, with_column("region", column(Kind.CATEGORY, role=Role.SEGMENT, since="2024-02")))
    assert holdout(lake, FIRST)["region"].isna().all()


def test_rows_of_any_month_are_read_as_they_are_declared_now() -> None:
    types = {"user_id": "string", "fee": "int64", "gone": "int64"}
    rows = ibis.memtable({"user_id": ["a"], "fee": [2], "gone": [1]}, schema=types)
    users = with_column("price", column(Kind.NUMBER, was=("cost", "fee", "rate"))).customers
    found = as_declared(rows, users).to_pandas()
    assert found["price"].tolist() == [2.0]
    assert found["price"].dtype == "float64"
    assert found["has_family"].isna().all()
    with pytest.raises(
        ChangedColumnError, match="price was integer when an earlier month was closed, and is category now: give the"
    ):
        as_declared(rows, with_column("price", column(Kind.CATEGORY, was=("fee",))).customers)
    with pytest.raises(ChangedColumnError, match="the customer's key is user_id now, and was another"):
        as_declared(rows.drop("user_id"), USERS)


def test_a_drop_need_not_have_a_column_before_and_after_its_time() -> None:
    visits = with_column("visits", column(since="2024-02", until="2024-03")).columns["visits"]
    assert [visits.at(FIRST + months).optional for months in range(4)] == [True, False, False, True]
