"""Values that a declaration hands on to engines: those that none takes are refused where they stand."""

from __future__ import annotations

import re
from datetime import datetime

import duckdb
import pytest

from churn_platform.company.declaration import DeclarationError, Kind
from churn_platform.company.engines import whole, wrong_date_format, wrong_pattern
from churn_platform.company.reading import parse
from churn_platform.contracts import Column, TableFile
from churn_platform.intake.casting import cast_of
from churn_platform.months import Month, MonthError

GYM = """
[company]
name = "Gym"
[customer]
key = "Member No"
[tables.members]
meaning = "The members."
customers = true
[tables.members.columns]
Visits = { kind = "integer", meaning = "Visits." }
Plan = { kind = "category", meaning = "The plan." }
[tables.calls]
meaning = "Calls."
since = "2024-03"
until = "2024-06"
[tables.calls.columns]
Calls = { kind = "integer", meaning = "Calls." }
"""
COLUMN = "tables.members.columns."


def with_column(name: str, said: str) -> str:
    return GYM.replace(f"{name} = {{", f"{name} = {{ {said},")


def told(text: str) -> str:
    with pytest.raises(DeclarationError) as raised:
        parse(text, "gym.toml")
    assert str(raised.value).startswith("gym.toml: ")
    return str(raised.value)


PATTERNS = ["(", "a{99999999999}", "(?au)a", "(?L)a", "(" * 3000 + ")" * 3000, "*"]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_pattern_that_is_no_regular_expression_is_refused(pattern: str) -> None:
    column = told(with_column("Plan", f"pattern = '{pattern}'"))
    assert f"{COLUMN}Plan: its pattern is no regular expression: " in column
    key = told(GYM.replace("[tables.members]", f"pattern = '{pattern}'\n[tables.members]"))
    assert "customer.pattern: is no regular expression: " in key


def test_only_texts_have_a_pattern() -> None:
    found = told(with_column("Visits", "pattern = '[0-9]+'"))
    assert f"{COLUMN}Visits: only a text or a category has a pattern" in found


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        ("a|b", "ab", False),
        ("a", "a\n", False),
        ("(?m)a", "b\na", False),
        ("(?x) a b  # both", "ab", True),
        ("(?i)a", "A", True),
        ("(?a)(?i)[a-z]+", "aB", True),
        ("(?i)(?x)[a-z]+ # code", "aB", True),
        ("(?x) # code\n (?i)[a-z]+", "aB", True),
        ("(?m)(?s)[A-Z]+", "bad\nABC", False),
    ],
)
def test_a_pattern_is_compared_with_the_whole_text(pattern: str, text: str, matches: bool) -> None:
    assert wrong_pattern(pattern) is None
    assert bool(re.fullmatch(pattern, text)) is matches
    assert bool(re.search(whole(pattern), text)) is matches


@pytest.mark.parametrize("encoding", ["undefined", r"utf-8\u0000", "rot13", "hex", "no such one"])
def test_an_encoding_that_there_is_not_is_refused(encoding: str) -> None:
    found = told(GYM.replace("customers = true", f'customers = true\nencoding = "{encoding}"'))
    assert "tables.members: there is no encoding " in found


@pytest.mark.parametrize("form", ["%c", "%x", "%Y-%m-%d %X", "%G-%V-%u", "%d %b %Y", "%Y%j", "%Y-%m-%d %H:%M:%S.%f"])
def test_forms_of_dates_that_are_not_refused_are_read(form: str) -> None:
    day = datetime(2001, 12, 23)
    sql = cast_of(Column("v", Kind.DATE, ""), TableFile("", (), date_format=form), parquet=False).sql
    found = duckdb.execute(f"SELECT {sql} FROM (SELECT ? AS v)", [day.strftime(form)]).fetchone()
    assert (found == (day.date(),)) or wrong_date_format(form)


@pytest.mark.parametrize("form", ["%c", "%x", r"%Y-%m-%d\u0000"])
def test_forms_of_dates_that_duckdb_reads_otherwise_are_refused(form: str) -> None:
    assert "does not say a whole date" in told(
        GYM.replace("customers = true", f'customers = true\ndate_format="{form}"')
    )


@pytest.mark.parametrize("bound", ["nan", "inf", "-inf", "1e400", "1" + "0" * 400])
@pytest.mark.parametrize("which", ["minimum", "maximum"])
def test_a_bound_is_a_finite_number(which: str, bound: str) -> None:
    found = told(with_column("Visits", f"{which} = {bound}"))
    assert f"{COLUMN}Visits: its minimum and maximum have to be numbers" in found


@pytest.mark.parametrize("month", ["0000-01", "٢٠٢٤-01", "2024-00", r"2024-01\n"])
@pytest.mark.parametrize("which", ["since", "until"])
def test_a_month_is_one_of_the_calendar(which: str, month: str) -> None:
    assert f"{COLUMN}Visits.{which}: Expected `str` matching" in told(with_column("Visits", f'{which} = "{month}"'))


@pytest.mark.parametrize("key", ["0000-01", "٢٠٢٤-01"])
def test_no_other_month_is_either(key: str) -> None:
    with pytest.raises(MonthError):
        Month.parse(key)
    assert Month.of_folder(key, Month(2024, 1)) is None


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ('until = "2024-02"', "its `until` is before its table's `since`, 2024-03: it would be in no month"),
        ('since = "2024-07"', "its `since` is after its table's `until`, 2024-06: it would be in no month"),
        ('since = "2024-05", until = "2024-04"', "its `since` is after its `until`"),
    ],
)
def test_a_column_is_there_while_its_table_is(said: str, sentence: str) -> None:
    assert f"tables.calls.columns.Calls: {sentence}" in told(with_column("Calls", said))
    parse(with_column("Calls", 'since = "2024-02", until = "2024-03"'), "gym.toml")


@pytest.mark.parametrize(
    ("before", "after", "place"),
    [
        ('key = "Member No"', r'key = "Member No\n"', "customer.key: "),
        ("Visits = {", r'"Visits\n" = {', COLUMN),
        ("[tables.members]", '[tables."members\\n"]', "tables."),
        ('name = "Gym"', 'name = "Gym"\ncurrency = "EUR\\n"', "company.currency: "),
        ("customers = true", 'customers = true\nfile = "members\\n"', "tables.members.file: "),
        ("customers = true", 'customers = true\nwas = ["people\\n"]', "tables.members.was, value 1: "),
        ("[tables.calls]", '[features.derived."x\\n"]\nsql = "1"\nmeaning = ""\n[tables.calls]', "features.derived."),
    ],
)
def test_a_name_does_not_end_with_a_line_end(before: str, after: str, place: str) -> None:
    found = told(GYM.replace(before, after))
    assert place in found
    assert "Expected `str` matching regex" in found


@pytest.mark.parametrize("name", ["values", "true_values", "false_values"])
def test_values_that_queries_name_hold_no_nul(name: str) -> None:
    said = rf'{name} = ["a", "b\u0000"]'
    text = (
        with_column("Plan", said) if name == "values" else GYM.replace("customers = true", f"customers = true\n{said}")
    )
    assert f"{name}, value 2: Expected `str` matching regex" in told(text)
