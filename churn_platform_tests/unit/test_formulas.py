"""Formulas: what is listed is allowed, nothing else reaches an engine, and whatever the values are, none stops it."""

from __future__ import annotations

import itertools

import duckdb
import pytest

from churn_platform.company.declaration import Kind
from churn_platform.company.formulas import LONGEST, FormulaError, formula

COLUMNS = {
    "a": Kind.NUMBER,
    "b": Kind.INTEGER,
    "t": Kind.BOOLEAN,
    "c": Kind.CATEGORY,
    "d": Kind.DATE,
    "as_of": Kind.DATE,
    "Total Paid": Kind.NUMBER,
}
TYPES = 'a DOUBLE, b BIGINT, t BOOLEAN, c VARCHAR, d DATE, as_of DATE, "Total Paid" DOUBLE'


def value(sql: str, **known: object) -> object:
    """What a formula gives for a row."""
    row = {"a": None, "b": None, "t": None, "c": None, "d": None, "as_of": None, "Total Paid": None} | known
    with duckdb.connect() as connection:
        connection.execute(f"CREATE TABLE rows ({TYPES})")
        connection.execute("INSERT INTO rows VALUES (?, ?, ?, ?, ?, ?, ?)", list(row.values()))
        found = connection.execute(f"SELECT {formula(sql, COLUMNS).sql} FROM rows").fetchone()
    assert found is not None
    return found[0]


@pytest.mark.parametrize(
    ("sql", "known", "wanted"),
    [
        ("a / b", {"a": 3, "b": 2}, 1.5),
        ("a / b", {"a": 3, "b": 0}, None),
        ("b / 2", {"b": 3}, 1.5),  # not 1
        ("a % b", {"a": 3, "b": 0}, None),
        ("mod(a, b) + mod (a + 1, 4)", {"a": 7, "b": 4}, 3),
        ("greatest(mod(a, b), 1,)", {"a": 7, "b": 4}, 3),
        ("a - b - 1", {"a": 5, "b": 3}, 1),
        ("a - (b - 1)", {"a": 5, "b": 3}, 3),
        ("-a * 2 + 1", {"a": 5}, -9),
        ("b * 9007199254740993", {"b": 9_000_000_000_000_000_000}, pytest.approx(8.1e34, rel=1e-3)),  # no overflow
        ('"Total Paid" + 1', {"Total Paid": 2}, 3),
        ("a = 1 or not t and a > 2", {"a": 3, "t": False}, True),
        ("a is not null", {}, False),
        ("c in ('x', 'y')", {"c": "y"}, True),
        ("c in ('x', 'MOD',)", {"c": "MOD"}, True),
        ("a between 1 and 2", {"a": 2}, True),
        ("case when t then 1 when a > 1 then 2 end", {"t": False, "a": 2}, 2),
        ("case c when 'x' then 1 else 0 end", {"c": "x"}, 1),
        ("coalesce(a, b, 7)", {}, 7),
        ("nullif(a, 1)", {"a": 1}, None),
        ("greatest(a, b, 1)", {"b": 4}, 4),
        ("least(a, b)", {"a": 2}, 2),
        ("round(a, 1)", {"a": 1.26}, 1.3),
        ("abs(a) + ceil(a) + floor(a) + sign(a)", {"a": -1.5}, -2.5),
        ("ln(a)", {"a": 0}, None),
        ("sqrt(a)", {"a": -1}, None),
        ("sqrt(a)", {"a": 9}, 3),
        ("length(c)", {"c": "four"}, 4),
        ("cast(t as double)", {"t": True}, 1),
        ("mean_of(a, b, 3)", {"a": 1}, 2),
        ("mean_of(t, a > 1)", {"t": True, "a": 0}, 0.5),
        ("mean_of(a, b)", {}, None),
        ("date_diff('day', d, as_of)", {"d": "2024-01-01", "as_of": "2024-02-01"}, 31),
        ("date_diff('month', d, as_of)", {"d": "2024-01-31", "as_of": "2024-02-01"}, 1),
        ("a -- a remark\n + 1 /* another */", {"a": 1}, 2),
    ],
)  # fmt: skip
def test_what_formulas_give(sql: str, known: dict[str, object], wanted: object) -> None:
    assert value(sql, **known) == wanted


@pytest.mark.parametrize(
    ("sql", "told"),
    [
        ("A + 1", "there is no column A"),
        ("w.a", "there is no column w.a: did you mean a?"),
        ("sum(a)", "uses SUM(a): allowed are"),
        ("a over ()", "is no SQL expression"),
        ("row_number() over ()", "uses ROW_NUMBER() OVER ()"),
        ("(select 1)", "uses (SELECT 1)"),
        ("a in (select 1)", "IN takes a list of values"),
        ("exists(select 1)", "uses EXISTS"),
        ("random()", "uses RANDOM()"),
        ("now()", "uses now"),
        ("current_date", "uses CURRENT_DATE"),
        ("read_csv('/etc/passwd')", "uses READ_CSV"),
        ("getenv('HOME')", "uses getenv"),
        ("a; drop table x", "uses a; DROP TABLE x"),
        ("select a", "uses SELECT a"),
        ("a, b", "is no SQL expression"),
        ("a as b", "uses a AS b"),
        ("a = 'x'", "'x' is text, where a number has to be"),
        ("t + 1", "t is true or false, where a number has to be"),
        ("not a", "a is a number, where true or false has to be"),
        ("c > 1", "1 is a number, where text has to be"),
        ("d", "is a date: a feature is a number, or true or false"),
        ("c", "is text: a feature is"),
        ("null", "is never known"),
        ("cast(c as double)", "CAST makes a DOUBLE"),
        ("cast(a as integer)", "CAST makes a DOUBLE"),
        ("a is true", "IS takes NULL or NOT NULL"),
        ("round(a, b)", "ROUND takes its number of places as a digit"),
        ("round(a, '')", "ROUND takes its number of places as a digit"),
        ("round(a, '1')", "ROUND takes its number of places as a digit"),
        ("round(a, 123)", "ROUND takes its number of places as a digit"),
        ("round(a, 2, 1)", "uses ROUND(a, 2, 1) with truncate, which formulas do not have"),
        ("round(a, 2, false)", "with truncate, which formulas do not have"),
        ("ceil(a, 2)", "with decimals, which formulas do not have"),
        ("floor(a, 2) + 1", "with decimals, which formulas do not have"),
        ("a between symmetric 5 and 1", "with symmetric, which formulas do not have"),
        ("length(c, 'x')", "with binary, which formulas do not have"),
        ("cast(a as double format 'x')", "with format, which formulas do not have"),
        ("date_diff('day', d, as_of, 1)", "gives a function a value too many"),
        ("mod(a, b, 2)", "gives a function a value too many"),
        ("a + 1e", "1e is no number"),
        ("date_diff('hour', d, as_of)", "DATE_DIFF counts in day, month, year, not in hour"),
        ("mean_of()", "MEAN_OF takes at least one value"),
        ("mean_of(c)", "MEAN_OF takes numbers"),
        ("1e400", "1e400 is too large a number"),
        ("", "is no SQL expression"),
        ("((a", "is no SQL expression: Expecting )"),
        ("'", "is no SQL expression"),
        ("(" * 900 + "a" + ")" * 900, "is nested too deeply"),
        ("a" * (LONGEST + 1), "characters: 2,000 are the most"),
    ],
)
def test_what_formulas_may_not_say(sql: str, told: str) -> None:
    with pytest.raises(FormulaError) as raised:
        formula(sql, COLUMNS)
    assert told in str(raised.value)
    assert len(str(raised.value)) < 400


@pytest.mark.parametrize("name", ["sqrt", "ln", "mean_of"])
def test_functions_within_one_another_do_not_grow_without_bounds(name: str) -> None:
    """What needs its value twice doubles what stands in it."""
    assert len(formula(f"{name}({name}({name}(a)))", COLUMNS).sql) < 4_000
    with pytest.raises(FormulaError, match="too many of them within one another"):
        formula(f"{name}(" * 16 + "a" + ")" * 16, COLUMNS)


EXTREMES = (None, 0, -1, 1e308, -1e308, 5e-324)


@pytest.mark.parametrize(
    "sql",
    [
        "a / b", "a * a * b", "a % b", "-a", "ln(a) + sqrt(a)", "round(a, 3)", "abs(a) / a", "mean_of(a, b, a * a)",
        "greatest(a, b)", "case when a > b then a / b end", "ceil(a) - floor(b)", "coalesce(a / b, 1 / a)",
    ],
)  # fmt: skip
def test_no_value_stops_a_month(sql: str) -> None:
    for a, b in itertools.product(EXTREMES, (None, 0, 2**62, -(2**62))):
        value(sql, a=a, b=b)  # would raise
