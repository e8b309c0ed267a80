"""Landing: sound rows are kept however they are written, broken ones are named, and the tolerance holds exactly."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import duckdb
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from churn_platform.intake.drops import DropError
from churn_platform.intake.landing import Judged, Violation, first_violations, judge_labels, judge_state
from churn_platform.lake import Lake
from churn_platform_tests import homes
from churn_platform_tests.streamflow import BY_NAME, LABELS, STATE_TABLES, STREAMFLOW

FIRST = homes.MONTHS[0]
ALL_OF_THEM = 1.0
"""A tolerance that accepts any number of broken rows."""


def judged(lake: Lake, drop: Path, tolerance: float = ALL_OF_THEM) -> dict[str, Judged]:
    tables = {found.table.name: found for found in judge_state(lake.engine, drop, STREAMFLOW, tolerance, FIRST.as_of)}
    labels = judge_labels(lake.engine, drop, LABELS, tolerance, FIRST.as_of, tables["users"])
    return tables if labels is None else {**tables, "labels": labels}


def landed_bytes(lake: Lake, drop: Path) -> dict[str, str]:
    return {
        name: lake.write(f"landed/{name}", FIRST, found.kept).sha256 for name, found in judged(lake, drop, 0).items()
    }


def keys(found: Judged) -> list[str]:
    return list(found.kept.to_pandas()["user_id"])


def rewrite(path: Path, way: str) -> None:
    """Write a CSV in another way that means the same."""
    header, *rows = homes.rows_of(path)
    if way in ("quoted", "everything"):
        buffer = io.StringIO()
        csv.writer(buffer, quoting=csv.QUOTE_ALL, lineterminator="\r\n").writerows(
            [header[::-1], *(r[::-1] for r in rows)]
        )
        path.write_bytes(("\ufeff" + buffer.getvalue()).encode())
    elif way == "rows":
        homes.write_rows(path, [header, *rows[::-1]])
    elif way == "parquet":
        homes.to_parquet(path)
    if way in ("gz", "everything"):
        homes.compress(path)


def test_a_sound_drop_is_kept_whole(lake: Lake, drop: Path) -> None:
    found = judged(lake, drop, 0)
    assert list(found) == [table.name for table in (*STATE_TABLES, LABELS)]
    for name, table in found.items():
        rows = homes.rows_of(drop / f"{name}.csv")[1:]
        assert table.fault is None
        assert (table.total, table.quarantined, table.violations) == (60, 0, ())
        assert keys(table) == sorted(row[0] for row in rows)
        assert list(table.kept.columns) == [column.name for column in BY_NAME[name].columns]
        assert table.quarantine().count().to_pyarrow().as_py() == 0


@pytest.fixture(scope="module")
def wanted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The bytes that the drop lands as."""
    folder = tmp_path_factory.mktemp("wanted")
    return landed_bytes(Lake(folder / "lake", STREAMFLOW), homes.deliver(folder / "drops"))


@pytest.mark.parametrize("way", ["rows", "quoted", "gz", "parquet", "everything"])
def test_the_same_rows_land_as_the_same_bytes(way: str, lake: Lake, drop: Path, wanted: dict[str, str]) -> None:
    for path in list(drop.iterdir()):
        rewrite(path, way)
    assert landed_bytes(lake, drop) == wanted


@given(data=st.data())
@hypothesis_settings(max_examples=3, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_shuffled_columns_and_rows_land_as_the_same_bytes(
    data: st.DataObject, lake: Lake, drop: Path, wanted: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    shuffled = tmp_path_factory.mktemp("shuffled")
    for path in drop.iterdir():
        header, *rows = homes.rows_of(path)
        order = data.draw(st.permutations(range(len(header))))
        homes.write_rows(
            shuffled / path.name, [[row[c] for c in order] for row in (header, *data.draw(st.permutations(rows)))]
        )
    assert landed_bytes(lake, shuffled) == wanted


# Broken rows


BROKEN = {
    "users": [
        ("user_id", "7590VHVEG", "does not match [0-9]{4}-[A-Z]{5}"),
        ("signup_date", "2024-02-30", "is not a date such as 2024-01-31"),
        ("signup_date", "", "is blank"),
        ("user_gender", "female", "is not one of Female, Male"),
        ("has_family", "perhaps", "is not True or False"),
        ("has_family", "", "is blank"),
    ],
    "subscriptions": [
        ("months_active", "3.5", "is not a whole number"),
        ("monthly_fee", "cheap", "is not a number"),
        ("monthly_fee", "-0.01", "is outside 0 to 10000"),
        ("contract_type", "Three year", "is not one of Month-to-month, One year, Two year"),
        ("plan_stream_tv", "No internet", "is not True or False"),
    ],
    "usage_agg_30d": [
        ("watch_hours_30d", "nan", "is not a number"),
        ("watch_hours_30d", "721", "is outside 0 to 720"),
        ("user_id", "0000-ZZZZZ", "is an unknown customer"),
    ],
    "payments_agg_90d": [("failed_payments_90d", "1001", "is outside 0 to 1000")],
    "support_agg_90d": [("support_tickets_90d", "", "is blank")],
    "labels": [
        ("churn_label", "2", "is not True or False"),
        ("churn_label", "", "is blank"),
        ("user_id", "0000-ZZZZZ", "is an unknown customer"),
    ],
}
"""For each table, values that a column may hold, and the rule that each breaks."""


@pytest.mark.parametrize("table", BROKEN)
def test_broken_values_are_named_and_their_rows_taken_out(table: str, lake: Lake, drop: Path) -> None:
    path, broken = drop / f"{table}.csv", BROKEN[table]
    places = [17 + 3 * number for number in range(len(broken))]
    rows = homes.rows_of(path)
    for line, (column, value, _) in zip(places, broken, strict=True):
        homes.put(path, line, column, value)
    found = judged(lake, drop)[table]
    assert found.violations == tuple(
        Violation(line, column, value or None, rule) for line, (column, value, rule) in zip(places, broken, strict=True)
    )
    assert (found.total, found.quarantined, found.fault) == (60, len(broken), None)
    assert keys(found) == sorted(row[0] for line, row in enumerate(rows, start=1) if line > 1 and line not in places)
    assert lake.write("quarantine/x", FIRST, found.quarantine()).rows == len(broken)
    frame = lake.frame("quarantine/x", FIRST).astype(object)
    assert frame.where(frame.notna(), None).to_dict("records") == [
        {"file": path.name, "line": v.line, "column": v.column, "value": v.value, "rule": v.rule}
        for v in found.violations
    ]


OUTSIDE = "is outside 2000-01-01 to 2024-01-31"
NO_DATE = "is not a date such as 2024-01-31"
DATES = {
    "2031-05-01": OUTSIDE,
    "9999-12-31": OUTSIDE,
    "0001-01-01": OUTSIDE,
    "1900-01-01": OUTSIDE,
    "1970-01-01": OUTSIDE,
    "2024-02-01": OUTSIDE,
    "1999-12-31": OUTSIDE,
    "0000-01-01": NO_DATE,
    "24-01-05": NO_DATE,
    "2024-1-5": NO_DATE,
    "05-01-2024": NO_DATE,
    "20240105": NO_DATE,
    "12024-01-05": NO_DATE,
    "2023-02-29": NO_DATE,
    "2024-01-31": None,
    "2000-01-01": None,
    "2024-01-05 00:00:00": None,
}
"""For each text, the rule that it breaks as a date of January 2024."""


def test_dates_have_bounds(lake: Lake, drop: Path) -> None:
    for line, text in enumerate(DATES, start=3):
        homes.put(drop / "users.csv", line, "signup_date", text)
    users = judged(lake, drop)["users"]
    assert users.violations == tuple(
        Violation(line, "signup_date", text, rule) for line, (text, rule) in enumerate(DATES.items(), start=3) if rule
    )
    assert len(keys(users)) == 60 - users.quarantined


@pytest.mark.parametrize("kind", ["DATE", "TIMESTAMP", "TIMESTAMP_NS", "VARCHAR"])
def test_dates_in_parquet_have_the_same_bounds(kind: str, lake: Lake, drop: Path) -> None:
    path = homes.to_parquet(drop / "users.csv")
    day = "CASE file_row WHEN 5 THEN '2031-05-01' WHEN 6 THEN '1970-01-01' ELSE signup_date::VARCHAR END"
    rows = f"(SELECT *, row_number() OVER () AS file_row FROM '{path}')"
    query = f"SELECT * EXCLUDE file_row REPLACE (({day})::{kind} AS signup_date) FROM {rows}"
    duckdb.execute(f"COPY ({query}) TO '{path.with_name('other')}' (FORMAT parquet)")
    path.with_name("other").replace(path)
    found = judged(lake, drop)["users"].violations
    assert [(v.line, v.column, v.value and v.value[:10], v.rule) for v in found] == [
        (5, "signup_date", "2031-05-01", OUTSIDE),
        (6, "signup_date", "1970-01-01", OUTSIDE),
    ]


def test_a_ragged_line_is_named_with_its_text(lake: Lake, drop: Path) -> None:
    path = drop / "payments_agg_90d.csv"
    homes.edit(path, lambda rows: rows.insert(5, ["0000-AAAAA"]))
    homes.edit(path, lambda rows: rows.insert(9, ["0000-AAAAA", "1", "2"]))
    found = judged(lake, drop)["payments_agg_90d"]
    assert [(v.line, v.column, v.value) for v in found.violations] == [
        (6, "", "0000-AAAAA"),
        (10, "", "0000-AAAAA,1,2"),
    ]
    assert all(v.rule.startswith("ragged line: Expected Number of Columns: 2 Found: ") for v in found.violations)
    assert (found.total, found.quarantined, len(keys(found))) == (62, 2, 60)


def test_a_line_is_right_whatever_stands_before_it(lake: Lake, drop: Path) -> None:
    path = drop / "payments_agg_90d.csv"
    header, *rows = path.read_text().splitlines()
    rows[20] = rows[20].split(",")[0] + ",many"
    text = [header, "", *rows[:5], "", rows[5].split(",")[0], '"00\n01-AAAAA",1', *rows[6:], ""]
    path.write_text("\n".join(text))
    found = judged(lake, drop)["payments_agg_90d"]
    place = {v.value: v.line for v in found.violations}
    physical = path.read_text().split("\n")
    assert place["many"] == physical.index(rows[20]) + 1
    assert place["00\n01-AAAAA"] == physical.index('"00') + 1
    assert place[rows[5].split(",")[0]] == physical.index(rows[5].split(",")[0]) + 1
    assert found.quarantined == 3


def test_several_rules_of_one_row_count_as_one_row(lake: Lake, drop: Path) -> None:
    for column, value in [("user_gender", "x"), ("has_family", "x"), ("signup_date", "x")]:
        homes.put(drop / "users.csv", 9, column, value)
    found = judged(lake, drop)["users"]
    assert [(v.line, v.column) for v in found.violations] == [(9, "has_family"), (9, "signup_date"), (9, "user_gender")]
    assert found.quarantined == 1
    assert found.quarantine().count().to_pyarrow().as_py() == 3


def test_of_rows_that_say_the_same_twice_one_is_kept(lake: Lake, drop: Path) -> None:
    wanted = keys(judged(lake, drop)["users"])
    homes.edit(drop / "users.csv", lambda rows: [*rows, rows[3], rows[3]])
    found = judged(lake, drop)["users"]
    assert [(v.line, v.column, v.rule) for v in found.violations] == [
        (62, "user_id", "duplicate key"),
        (63, "user_id", "duplicate key"),
    ]
    assert keys(found) == wanted


@pytest.mark.parametrize("turned", [False, True], ids=["as delivered", "in reverse"])
def test_of_rows_that_contradict_each_other_none_is_kept(turned: bool, lake: Lake, drop: Path) -> None:
    path = drop / "users.csv"
    key = homes.rows_of(path)[3][0]
    homes.edit(path, lambda rows: [*rows, rows[3], rows[3]])
    homes.put(path, 63, "signup_date", "2020-02-02")
    if turned:
        homes.edit(path, lambda rows: [rows[0], *reversed(rows[1:])])
    found = judged(lake, drop)["users"]
    assert [(v.value, v.rule) for v in found.violations] == [(key, "duplicate key")] * 3
    assert len(keys(found)) == 59
    assert key not in keys(found)


def test_a_twin_that_is_broken_otherwise_does_not_outlive_its_sound_one(lake: Lake, drop: Path) -> None:
    path = drop / "users.csv"
    homes.edit(path, lambda rows: [*rows, rows[3]])
    homes.put(path, 4, "has_family", "perhaps")  # the first of the two
    found = judged(lake, drop)["users"]
    kept = keys(found)
    assert len(kept) == len(set(kept)) == 59  # they contradict each other: nobody knows which is right


def test_who_is_not_among_the_users_is_unknown_in_every_other_table(lake: Lake, drop: Path) -> None:
    homes.put(drop / "users.csv", 2, "user_gender", "x")
    key = homes.rows_of(drop / "users.csv")[1][0]
    found = judged(lake, drop)
    for name in ("subscriptions", "usage_agg_30d", "payments_agg_90d", "support_agg_90d", "labels"):
        assert [(v.column, v.value, v.rule) for v in found[name].violations] == [
            ("user_id", key, "is an unknown customer")
        ]


def test_broken_parquet_rows_are_named_by_their_number(lake: Lake, drop: Path) -> None:
    homes.put(drop / "payments_agg_90d.csv", 11, "failed_payments_90d", "-3")
    rewrite(drop / "payments_agg_90d.csv", "parquet")
    found = judged(lake, drop)["payments_agg_90d"]
    assert found.path.name == "payments_agg_90d.parquet"
    (broken,) = found.violations
    assert broken == Violation(10, "failed_payments_90d", "-3", "is outside 0 to 1000", unit="row")
    assert str(broken) == "row 10, column failed_payments_90d: '-3' is outside 0 to 1000"
    assert first_violations(found.quarantine(), 3) == found.violations


def test_a_broken_row_is_named_with_its_part(lake: Lake, drop: Path) -> None:
    path = drop / "payments_agg_90d.csv"
    header, *rows = path.read_text().splitlines()
    path.unlink()
    path.mkdir()
    (path / "_SUCCESS").touch()
    (path / "part-0.csv").write_text("\n".join([header, *rows[:30]]))
    (path / "part-1.csv").write_text("\n".join([header, "x", "0000-AAAAA,-1", *rows[30:]]))
    (path / "part-2.csv").write_text("\n".join([header, "x"]))
    found = judged(lake, drop)["payments_agg_90d"]
    assert (found.total, found.quarantined, len(keys(found))) == (63, 3, 60)
    assert found.quarantine().to_pandas()[["file", "line", "value"]].values.tolist() == [
        ["payments_agg_90d.csv/part-1.csv", 2, "x"],
        ["payments_agg_90d.csv/part-1.csv", 3, "-1"],
        ["payments_agg_90d.csv/part-2.csv", 2, "x"],
    ]
    assert first_violations(found.quarantine(), 2) == found.violations[:2]
    assert str(found.violations[1]) == "part-1.csv, line 3, column failed_payments_90d: '-1' is outside 0 to 1000"


def test_a_value_in_a_message_is_cut_and_means_nothing(lake: Lake, drop: Path) -> None:
    homes.put(drop / "users.csv", 2, "user_gender", "<b>**" + "x" * 200_000)
    fault = judged(lake, drop, 0)["users"].fault
    assert fault is not None
    assert len(fault) < 400
    assert r"'\x3cb\x3e\x2a\x2axxx" in fault


def test_a_long_list_of_values_is_cut_in_a_message_and_its_cure_is_told(lake: Lake, drop: Path) -> None:
    listed = "is not one of " + ", ".join(f"K2023-{n:02d}" for n in range(1, 30))
    assert str(Violation(2, "Kampagne", "K", listed)) == (
        "line 2, column Kampagne: 'K' is not one of K2023-01, K2023-02, K2023-03, K2023-04, K2023-05, K2023-06, ..."
    )
    homes.put(drop / "users.csv", 2, "user_gender", "diverse")
    fault = judged(lake, drop, 0)["users"].fault
    assert fault is not None
    assert fault.endswith(
        "'diverse' is not one of Female, Male; add it to `values` of user_gender, or leave `values` out"
    )


@pytest.mark.parametrize(
    ("rule", "shown"),
    [
        ("does not match " + "[0-9]{2, 3}" * 20, None),
        ("does not match " + "[A-Z]" * 50, None),
        ("is not one of " + "x" * 90, "is not one of " + "x" * 66 + "..."),
        ("is not one of short, " + "x" * 90, "is not one of short, ..."),
    ],
    ids=["a pattern with a comma", "a pattern", "one long value", "a short and a long one"],
)
def test_a_rule_stays_in_a_message_whatever_it_says(rule: str, shown: str | None) -> None:
    assert str(Violation(3, "code", "q", rule)) == f"line 3, column code: 'q' {shown or rule}"


# What follows from a customer who is taken out


def test_rows_of_a_customer_who_is_taken_out_are_no_fault_of_their_tables(lake: Lake, drop: Path) -> None:
    homes.put(drop / "users.csv", 2, "user_gender", "diverse")
    homes.put(drop / "support_agg_90d.csv", 3, "user_id", "0000-ZZZZZ")  # nobody knows this one
    for tolerance in (0, 1 / 60):
        found = judged(lake, drop, tolerance)
        assert all(len(table.violations) >= 1 for name, table in found.items() if name != "support_agg_90d")
        at_fault = {name for name, table in found.items() if table.fault}
        assert at_fault == ({"users"} if tolerance == 0 else set())
    homes.put(drop / "support_agg_90d.csv", 4, "user_id", "0001-ZZZZZ")
    found = judged(lake, drop, 1 / 60)
    assert {name for name, table in found.items() if table.fault} == {"support_agg_90d"}
    told = str(found["support_agg_90d"].fault)
    assert told.count("is an unknown customer") == 2 and "ZZZZZ" in told


# The tolerance


@pytest.mark.parametrize(("broken", "stops"), [(2, False), (3, False), (4, True)], ids=["below", "exactly at", "above"])
@pytest.mark.parametrize("how", ["wrong value", "ragged line"])
def test_the_tolerance(how: str, broken: int, stops: bool, lake: Lake, drop: Path) -> None:
    path = drop / "support_agg_90d.csv"
    rows = homes.rows_of(path)
    for row in rows[1 : 1 + broken]:
        row[1:] = ["-1", "0"] if how == "wrong value" else ["1"]
    homes.write_rows(path, rows)
    found = judged(lake, drop, 0.05)["support_agg_90d"]  # 3 of 60
    assert (found.total, found.quarantined) == (60, broken)
    assert (found.fault is not None) is stops
    assert found.judgement.result.success is (how == "ragged line" or not stops)  # it does not see unreadable lines
    if found.fault:
        assert found.fault.startswith(
            "support_agg_90d.csv: 4 of 60 rows of support_agg_90d break its contract "
            "(6.7%, CHURN_QUARANTINE_TOLERANCE allows 5.0%): line 2"
        )
        assert "\n" not in found.fault


def test_no_tolerance_lets_no_row_go(lake: Lake, drop: Path) -> None:
    homes.put(drop / "users.csv", 2, "has_family", "")
    assert judged(lake, drop, 0)["users"].fault is not None


@pytest.mark.parametrize(
    ("table", "change"),
    [("labels", "unknown customers"), ("usage_agg_30d", "unknown customers"), ("users", "all ragged")],
)
def test_a_whole_table_of_broken_rows_stops(table: str, change: str, lake: Lake, drop: Path) -> None:
    path = drop / f"{table}.csv"
    header, *rows = homes.rows_of(path)
    broken = [[f"{n:04d}-ZZZZZ", *row[1:]] for n, row in enumerate(rows)] if change != "all ragged" else [["x"]] * 60
    homes.write_rows(path, [header, *broken])
    found = judged(lake, drop, 0.5)[table]
    assert found.fault is not None
    assert "60 of 60" in found.fault
    assert keys(found) == []


# Structural faults


def test_a_missing_file_stops(lake: Lake, drop: Path) -> None:
    (drop / "usage_agg_30d.csv").unlink()
    with pytest.raises(DropError, match=r"usage_agg_30d: no file in .*month_000"):
        judge_state(lake.engine, drop, STREAMFLOW, ALL_OF_THEM, FIRST.as_of)


def test_labels_may_come_later(lake: Lake, drop: Path) -> None:
    (drop / "labels.csv").unlink()
    assert "labels" not in judged(lake, drop)


@pytest.mark.parametrize("content", [b"", b"user_id\n0001-AAAAA\n", "user_id,failed_payments_90d\n".encode("utf-16")])
def test_a_structural_fault_stops_whatever_the_tolerance(content: bytes, lake: Lake, drop: Path) -> None:
    (drop / "payments_agg_90d.csv").write_bytes(content)
    with pytest.raises(DropError, match=r"^payments_agg_90d\.csv: .*payments_agg_90d"):
        judge_state(lake.engine, drop, STREAMFLOW, ALL_OF_THEM, FIRST.as_of)


def test_judging_writes_nothing(lake: Lake, drop: Path) -> None:
    before = homes.contents(drop, "*")
    judged(lake, drop)
    assert not lake.root.exists()
    assert homes.contents(drop, "*") == before


def test_a_compressed_file_is_named_as_it_is(lake: Lake, drop: Path) -> None:
    homes.put(drop / "users.csv", 3, "has_family", "perhaps")
    homes.compress(drop / "users.csv")
    found = judged(lake, drop)["users"]
    assert str(found.violations[0]) == "line 3, column has_family: 'perhaps' is not True or False"
    assert found.quarantine().to_pandas()["file"].tolist() == ["users.csv.gz"]
