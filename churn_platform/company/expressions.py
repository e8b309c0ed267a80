"""Expressions: the small pieces of SQL from which formulas are made anew.

Here: numbers, and the mean of those that are known. Not here: what a formula may say (`formulas`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce

from sqlglot import exp


def double(value: exp.Expr) -> exp.Expr:
    """A value as a number in floating point."""
    return exp.cast(value, exp.DataType.Type.DOUBLE, copy=False)


def number(value: int) -> exp.Expr:
    """A constant."""
    return double(exp.Literal.number(value))


def nullif_zero(value: exp.Expr) -> exp.Expr:
    """A number that is unknown where it is zero."""
    return exp.Nullif(this=value, expression=number(0))


def mean(values: Sequence[exp.Expr], again: Callable[[exp.Expr], exp.Expr]) -> exp.Expr:
    """The mean of the known ones among these numbers; unknown where none is known. `again` copies one of them."""

    def known_or(value: exp.Expr, otherwise: exp.Expr) -> exp.Expr:
        unknown = exp.Is(this=again(value), expression=exp.Null())
        return exp.Case(ifs=[exp.If(this=unknown, true=number(0))], default=otherwise)

    def added(one: exp.Expr, other: exp.Expr) -> exp.Expr:
        return exp.Add(this=one, expression=other)

    total = reduce(added, [known_or(value, value) for value in values])
    known = reduce(added, [known_or(value, number(1)) for value in values])
    return exp.paren(exp.Div(this=exp.paren(total), expression=nullif_zero(exp.paren(known))), copy=False)
