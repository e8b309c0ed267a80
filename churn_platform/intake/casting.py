"""Casting: from the text of a file's value to the type that its column declares, as SQL of DuckDB.

Here: what counts as a number, a date, true or false, and a key. Not here: reading the text (`reading`), or whether a
value keeps the contract (`rules`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from churn_platform.company.declaration import Kind
from churn_platform.contracts import Column, TableFile

# A key is no quantity: its digits are kept, however many they are.
_KEY = (
    "CASE WHEN regexp_full_match({0}, '-?[0-9]+([.]0*)?') AND TRY_CAST(regexp_extract({0}, '^-?[0-9]+') AS HUGEINT)"
    " IS NOT NULL THEN TRY_CAST(regexp_extract({0}, '^-?[0-9]+') AS HUGEINT)::VARCHAR"
    " ELSE ({1})::VARCHAR END"
)
# Through DOUBLE, since 3.0 is a whole number and CAST would silently round 3.5 to 4; 2^53 keeps it exact.
_WHOLE = (
    "CASE WHEN abs(TRY_CAST({0} AS DOUBLE)) <= 9007199254740992 AND "
    "TRY_CAST({0} AS DOUBLE) = trunc(TRY_CAST({0} AS DOUBLE)) THEN TRY_CAST({0} AS DOUBLE)::BIGINT END"
)
_NUMBER = "CASE WHEN isfinite(TRY_CAST({0} AS DOUBLE)) THEN TRY_CAST({0} AS DOUBLE) END"
# Parquet's dates may be timestamps at midnight. DuckDB would read 'epoch' too, and 24-01-05 as in the year 24; and it
# has a year 0, which Python has not.
_DATE = (
    "CASE WHEN regexp_full_match({0}, '[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}( 00:00:00)?') AND {0} >= '0001' "
    "THEN CAST(try_strptime({0}[:10], '%Y-%m-%d') AS DATE) END"
)
_ISO = "%Y-%m-%d"

TRUE = ("true", "t", "yes", "y", "1", "1.0")
FALSE = ("false", "f", "no", "n", "0", "0.0")
"""What is true and false where no words are declared, in capitals or not. pandas writes 1.0 in a column with blanks."""

_ZEROS = r"'\b0'"


@dataclass(frozen=True)
class Cast:
    """An expression that is null for a text that is not of the type, and what is wrong with such a text."""

    sql: str
    wrong: str = ""


def quoted(name: str) -> str:
    """A column's name in SQL."""
    return '"' + name.replace('"', '""') + '"'


def cast_of(column: Column, file: TableFile, parquet: bool) -> Cast:
    """How the text of a column's values becomes its type. Parquet's values have types, and become text in one way."""
    text = quoted(column.name)
    if column.whole:
        return Cast(_KEY.format(text, _WHOLE.format(text)), "is not a whole number")
    if column.kind is Kind.BOOLEAN:
        return _boolean(text, file, parquet)
    if column.kind is Kind.DATE:
        return _date(text, file, parquet)
    if column.kind in (Kind.INTEGER, Kind.NUMBER):
        if file.decimal == "," and not parquet:
            # A point would set thousands apart: 1.234 is not 1.234 there.
            text = f"CASE WHEN {text} NOT LIKE '%.%' THEN replace({text}, ',', '.') END"
        wrong = "is not a whole number" if column.kind is Kind.INTEGER else "is not a number"
        return Cast((_WHOLE if column.kind is Kind.INTEGER else _NUMBER).format(f"({text})"), wrong)
    return Cast(text)


def _boolean(text: str, file: TableFile, parquet: bool) -> Cast:
    if not file.true_values:
        return _among(f"lower({text})", TRUE, FALSE, "is not True or False")
    true, false = (*file.true_values, *(["true"] if parquet else ())), file.false_values
    if parquet:
        false = (*false, "false")
    return _among(text, true, false, f"is not {file.true_values[0]} or {file.false_values[0]}")


def _among(text: str, true: Iterable[str], false: Iterable[str], wrong: str) -> Cast:
    return Cast(f"CASE WHEN {text} IN ({texts(true)}) THEN true WHEN {text} IN ({texts(false)}) THEN false END", wrong)


def _date(text: str, file: TableFile, parquet: bool) -> Cast:
    if parquet or file.date_format == _ISO:
        return Cast(_DATE.format(text), "is not a date such as 2024-01-31")
    form = texts([file.date_format])
    # What does not come out as it went in, but for leading zeros, was read with some of it missing: 24 as a year.
    written = f"regexp_replace(strftime(try_strptime({text}, {form}), {form}), {_ZEROS}, '', 'g')"
    return Cast(
        f"CASE WHEN {written} = regexp_replace({text}, {_ZEROS}, '', 'g')"
        f" AND year(try_strptime({text}, {form})) > 0 THEN CAST(try_strptime({text}, {form}) AS DATE) END",
        f"is not a date written as {file.date_format}",
    )


def texts(values: Iterable[str]) -> str:
    """Texts in SQL, with commas between them."""
    return ", ".join("'" + value.replace("'", "''") + "'" for value in values)
