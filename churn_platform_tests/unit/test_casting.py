"""Casting: what a text becomes by its column's kind and its file's way of writing, and what is none."""

from __future__ import annotations

from datetime import date

import duckdb
import pytest

from churn_platform.company.declaration import Kind
from churn_platform.contracts import Column, TableFile
from churn_platform.intake.casting import FALSE, TRUE, cast_of

NAME = 'Fee "net", in %'
COMMAS = TableFile("x", (), decimal=",")
WORDS = TableFile("x", (), true_values=("ja",), false_values=("nein",))
GERMAN = TableFile("x", (), date_format="%d.%m.%Y")
SHORT = TableFile("x", (), date_format="%m/%d/%y")
PLAIN = TableFile("x", ())


def value(text: str, kind: Kind, file: TableFile = PLAIN, *, whole: bool = False, parquet: bool = False) -> object:
    """What a text becomes."""
    cast = cast_of(Column(NAME, kind, "", whole=whole), file, parquet)
    quoted = NAME.replace('"', '""')
    found = duckdb.execute(f'SELECT {cast.sql} FROM (SELECT ? AS "{quoted}")', [text]).fetchone()
    assert found is not None
    return found[0]


@pytest.mark.parametrize(
    ("text", "kind", "file", "wanted"),
    [
        ("1,5", Kind.NUMBER, COMMAS, 1.5),
        ("1.5", Kind.NUMBER, COMMAS, None),  # a point sets thousands apart there
        ("1.234,5", Kind.NUMBER, COMMAS, None),
        ("7", Kind.INTEGER, COMMAS, 7),
        ("7,0", Kind.INTEGER, COMMAS, 7),
        ("7,5", Kind.INTEGER, COMMAS, None),
        ("ja", Kind.BOOLEAN, WORDS, True),
        ("nein", Kind.BOOLEAN, WORDS, False),
        ("true", Kind.BOOLEAN, WORDS, None),
        ("Yes", Kind.BOOLEAN, PLAIN, True),
        ("0.0", Kind.BOOLEAN, PLAIN, False),
        ("2", Kind.BOOLEAN, PLAIN, None),
        ("31.01.2024", Kind.DATE, GERMAN, date(2024, 1, 31)),
        ("1.2.2024", Kind.DATE, GERMAN, date(2024, 2, 1)),
        ("31.02.2024", Kind.DATE, GERMAN, None),
        ("2024-01-31", Kind.DATE, GERMAN, None),
        ("01.01.0000", Kind.DATE, GERMAN, None),  # Python's years begin with 1
        ("0000-12-31", Kind.DATE, PLAIN, None),
        ("0001-01-01", Kind.DATE, PLAIN, date(1, 1, 1)),
        ("1/2/24", Kind.DATE, SHORT, date(2024, 1, 2)),
        ("1/2/2024", Kind.DATE, SHORT, None),
    ],
)
def test_what_a_text_becomes(text: str, kind: Kind, file: TableFile, wanted: object) -> None:
    assert value(text, kind, file) == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("15634602", "15634602"), ("15634602.0", "15634602"), ("0015634602", "15634602"), ("1.5634602e7", "15634602"),
        ("123456789012345678", "123456789012345678"), ("9007199254740993", "9007199254740993"), ("-5", "-5"),
        ("1.5", None), ("x", None), ("", None), ("1e40", None),
    ],
)  # fmt: skip
def test_whole_keys_keep_all_their_digits(text: str, wanted: str | None) -> None:
    assert value(text, Kind.TEXT, whole=True) == wanted


@pytest.mark.parametrize(("words", "meant"), [(TRUE, True), (FALSE, False)])
def test_words_that_are_true_or_false_unless_others_are_declared(words: tuple[str, ...], meant: bool) -> None:
    """What is remembered as read so in a month's files is what is read so."""
    written = [way for word in words for way in (word, word.upper(), word.title())]
    assert [value(text, Kind.BOOLEAN) for text in written] == [meant] * len(written)
    assert [value(text, Kind.BOOLEAN) for text in ("on", "tru", "01", " yes", "")] == [None] * 5


def test_parquet_has_types_of_its_own() -> None:
    assert value("1.5", Kind.NUMBER, COMMAS, parquet=True) == 1.5
    assert value("true", Kind.BOOLEAN, WORDS, parquet=True) is True
    assert value("2024-01-31 00:00:00", Kind.DATE, GERMAN, parquet=True) == date(2024, 1, 31)
