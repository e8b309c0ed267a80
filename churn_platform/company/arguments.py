"""Arguments: what sqlglot has read of a formula that nobody would look at, and what it has not even kept.

Here: which arguments the makers of `formulas` take, so that no other is lost in silence. Not here: what becomes of them
(`formulas`).
"""

from __future__ import annotations

from itertools import pairwise

import sqlglot
from sqlglot import TokenType, exp

_ANYWHERE = frozenset({"this", "expression", "expressions"})
_TAKEN: dict[type[exp.Expr], frozenset[str]] = {
    exp.Column: frozenset({"table", "db", "catalog"}),  # told of as a column that there is not
    exp.Literal: frozenset({"is_string"}),
    exp.In: frozenset({"query"}),  # told of as no list of values
    exp.Between: frozenset({"low", "high"}),
    exp.Case: frozenset({"ifs", "default"}),
    exp.Greatest: frozenset({"ignore_nulls"}),  # says what DuckDB does anyway
    exp.Least: frozenset({"ignore_nulls"}),
    exp.Round: frozenset({"decimals"}),
    exp.DateDiff: frozenset({"unit", "date_part_boundary"}),  # the latter says what DuckDB does anyway
    exp.Cast: frozenset({"to"}),
}


def unknown(node: exp.Expr) -> str | None:
    """The name of an argument that is given and that no formula may give; None where there is none."""
    given = {name for name, value in node.args.items() if not (value is None or value is False or value == [])}
    return min(given - _ANYWHERE - _TAKEN.get(type(node), frozenset()), default=None)


def are_all_kept(sql: str, parsed: exp.Expr) -> bool:
    """Whether the parser has kept every value: it passes over some that a function does not take."""
    return _commas(sql) == _commas(parsed.sql(dialect="duckdb", comments=False))


def _commas(sql: str) -> int:
    """How many values are separated: by no comma at a list's end, nor by MOD's, as the parser makes `%` of it."""
    tokens = sqlglot.tokenize(sql, dialect="duckdb")
    pairs = [(token, after.token_type) for token, after in pairwise(tokens)]
    commas = sum(token.token_type is TokenType.COMMA and after is not TokenType.R_PAREN for token, after in pairs)
    return commas - sum(token.text.upper() == "MOD" and after is TokenType.L_PAREN for token, after in pairs)
