"""Formulas: a derived feature's SQL, checked against a closed list and made safe for every engine.

Here: which expressions a declaration may use, of which kinds, and what they become. Not here: arguments that none takes
(`arguments`), which columns there are (`contracts`), or running them (`tables.features`).

A formula is one scalar expression in DuckDB's dialect. It is read with sqlglot and made anew from what is listed here,
so nothing else can reach an engine: no aggregate, window or subquery, nothing that depends on the time or on chance.
Whole numbers are computed in floating point, which cannot overflow, and what is not defined, such as a quotient by zero
or a negative number's root, is unknown instead of an error. sqlglot takes long to load: import
this module where it is used.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from churn_platform.company import arguments
from churn_platform.company.declaration import Kind
from churn_platform.company.expressions import double, mean, nullif_zero
from churn_platform.faults import Fault
from churn_platform.shown import inert

LONGEST = 2_000
"""The most characters of a formula."""

_LIKE = {Kind.INTEGER: Kind.NUMBER, Kind.CATEGORY: Kind.TEXT}
_CALLED = {Kind.NUMBER: "a number", Kind.TEXT: "text", Kind.BOOLEAN: "true or false", Kind.DATE: "a date"}
_UNITS = ("day", "month", "year")
_DIGIT = re.compile("[0-9]")
_MOST_COPIED = 10_000
"""The most parts of a formula that are written a second time, as what may be undefined is."""


class FormulaError(Fault):
    """A formula that a declaration may not use; the message says what in it, and what may stand there."""

    lasting = True


@dataclass(frozen=True)
class Formula:
    """A checked formula: what its values are, NUMBER or BOOLEAN, and its SQL in DuckDB's dialect."""

    kind: Kind
    sql: str


def formula(sql: str, columns: Mapping[str, Kind]) -> Formula:
    """The formula that this text is, over these columns. Raises FormulaError."""
    if len(sql) > LONGEST:
        raise FormulaError(f"has {len(sql):,} characters: {LONGEST:,} are the most")
    if "\0" in sql:
        raise FormulaError("has a NUL character in it, which databases take for the end")
    try:
        parsed = sqlglot.parse_one(sql, dialect="duckdb")
        made = of_tree(parsed, columns)
        if not arguments.are_all_kept(sql, parsed):
            raise FormulaError("gives a function a value too many")
    except SqlglotError as error:
        raise FormulaError(f"is no SQL expression: {inert(str(error).splitlines()[0])}") from error
    except RecursionError as error:
        raise FormulaError("is nested too deeply") from error
    return made


def of_tree(parsed: exp.Expr, columns: Mapping[str, Kind]) -> Formula:
    """The formula that sqlglot's tree is, however long its text. Raises FormulaError, SqlglotError, RecursionError."""
    made, kind = _Maker(columns).made(parsed)
    if kind not in (Kind.NUMBER, Kind.BOOLEAN):
        found = _CALLED[kind] if kind else "never known"
        raise FormulaError(f"is {found}: a feature is a number, or true or false")
    return Formula(kind, made.sql(dialect="duckdb", comments=False))


_Made = tuple[exp.Expr, Kind | None]
"""An expression and what it is; None for NULL, which fits everywhere."""


class _Maker:
    """Makes an expression anew from what is allowed, over some columns."""

    def __init__(self, columns: Mapping[str, Kind]) -> None:
        self._columns, self._copied = columns, 0

    def made(self, node: exp.Expr | None) -> _Made:
        """The same expression, safe; None where sqlglot has found none. Raises FormulaError."""
        if node is None:
            raise FormulaError("lacks a value somewhere")
        make = _MAKERS.get(type(node))
        if make is None:
            raise FormulaError(f"uses {_text(node)}: allowed are {_ALLOWED}")
        if argument := arguments.unknown(node):
            raise FormulaError(f"uses {_text(node)} with {argument}, which formulas do not have")
        return make(self, node)

    def column(self, node: exp.Expr) -> _Made:
        name = node.name
        if len(node.parts) > 1 or name not in self._columns:  # type: ignore[attr-defined]
            near = get_close_matches(name, self._columns, n=1)
            meant = f": did you mean {near[0]}?" if near else ""
            raise FormulaError(f"there is no column {_text(node)}{meant}")
        kind = self._columns[name]
        found = exp.column(name, quoted=True)
        return (double(found) if kind is Kind.INTEGER else found), _LIKE.get(kind, kind)

    def literal(self, node: exp.Expr) -> _Made:
        copy = exp.Literal(this=node.this, is_string=node.is_string)
        if copy.is_string:
            return copy, Kind.TEXT
        try:
            value = float(node.name)
        except ValueError as error:
            raise FormulaError(f"{inert(node.name)} is no number") from error
        if not math.isfinite(value):
            raise FormulaError(f"{inert(node.name)} is too large a number")
        return double(copy), Kind.NUMBER

    def arithmetic(self, node: exp.Expr) -> _Made:
        left, right = self.of(Kind.NUMBER, node.left, node.right)  # type: ignore[attr-defined]
        if isinstance(node, exp.Div | exp.Mod):
            right = nullif_zero(right)
        return exp.paren(type(node)(this=left, expression=right), copy=False), Kind.NUMBER

    def comparison(self, node: exp.Expr) -> _Made:
        _, (left, right) = self.alike(node.left, node.right)  # type: ignore[attr-defined]
        return exp.paren(type(node)(this=left, expression=right), copy=False), Kind.BOOLEAN

    def logic(self, node: exp.Expr) -> _Made:
        left, right = self.of(Kind.BOOLEAN, node.left, node.right)  # type: ignore[attr-defined]
        return exp.paren(type(node)(this=left, expression=right), copy=False), Kind.BOOLEAN

    def is_null(self, node: exp.Expr) -> _Made:
        if not isinstance(node.expression, exp.Null):
            raise FormulaError(f"uses {_text(node)}: IS takes NULL or NOT NULL")
        return exp.paren(exp.Is(this=self.made(node.this)[0], expression=exp.Null()), copy=False), Kind.BOOLEAN

    def within(self, node: exp.Expr) -> _Made:
        if node.args.get("query") or not node.expressions:
            raise FormulaError("IN takes a list of values")
        _, (this, *others) = self.alike(node.this, *node.expressions)
        return exp.paren(exp.In(this=this, expressions=others), copy=False), Kind.BOOLEAN

    def between(self, node: exp.Expr) -> _Made:
        _, (this, low, high) = self.alike(node.this, node.args["low"], node.args["high"])
        return exp.paren(exp.Between(this=this, low=low, high=high), copy=False), Kind.BOOLEAN

    def case(self, node: exp.Expr) -> _Made:
        """Both spellings: `CASE WHEN a = 1 THEN ...` and `CASE a WHEN 1 THEN ...`."""
        whens = node.args["ifs"]
        if node.this is None:
            subject, conditions = None, self.of(Kind.BOOLEAN, *(when.this for when in whens))
        else:
            _, (subject, *conditions) = self.alike(node.this, *(when.this for when in whens))
        default = node.args.get("default") or exp.Null()
        kind, (otherwise, *results) = self.alike(default, *(when.args["true"] for when in whens))
        ifs = [exp.If(this=when, true=then) for when, then in zip(conditions, results, strict=True)]
        return exp.Case(this=subject, ifs=ifs, default=otherwise), kind

    def same(self, node: exp.Expr) -> _Made:
        """COALESCE and NULLIF: all are of one kind, and so is what comes out."""
        if isinstance(node, exp.Nullif):
            kind, (this, other) = self.alike(node.this, node.expression)
            return exp.Nullif(this=this, expression=other), kind
        kind, (first, *others) = self.alike(node.this, *node.expressions)
        return exp.Coalesce(this=first, expressions=others), kind

    def extreme(self, node: exp.Expr) -> _Made:
        """GREATEST and LEAST, of those that are known."""
        first, *others = self.of(Kind.NUMBER, node.this, *node.expressions)
        return type(node)(this=first, expressions=others, ignore_nulls=True), Kind.NUMBER

    def of_number(self, node: exp.Expr) -> _Made:
        """ABS, CEIL, FLOOR and SIGN."""
        (value,) = self.of(Kind.NUMBER, node.this)
        return type(node)(this=value), Kind.NUMBER

    def rounded(self, node: exp.Expr) -> _Made:
        (value,) = self.of(Kind.NUMBER, node.this)
        places = node.args.get("decimals")
        if places is None:
            return exp.Round(this=value), Kind.NUMBER
        if not (isinstance(places, exp.Literal) and not places.is_string and _DIGIT.fullmatch(places.name)):
            raise FormulaError("ROUND takes its number of places as a digit")
        return exp.Round(this=value, decimals=exp.Literal.number(places.name)), Kind.NUMBER

    def root(self, node: exp.Expr) -> _Made:
        """SQRT and LN: unknown where they are not defined."""
        (value,) = self.of(Kind.NUMBER, node.this)
        compared = exp.GTE if isinstance(node, exp.Sqrt) else exp.GT
        defined = compared(this=self.again(value), expression=exp.Literal.number(0))
        return type(node)(this=exp.Case(ifs=[exp.If(this=defined, true=value)])), Kind.NUMBER

    def days(self, node: exp.Expr) -> _Made:
        """DATE_DIFF('day', from, to): whole units from one date to another."""
        unit = node.text("unit").lower()
        if unit not in _UNITS:
            raise FormulaError(f"DATE_DIFF counts in {', '.join(_UNITS)}, not in {inert(unit)}")
        last, first = self.of(Kind.DATE, node.this, node.expression)
        return exp.DateDiff(this=last, expression=first, unit=exp.Var(this=unit.upper())), Kind.NUMBER

    def cast(self, node: exp.Expr) -> _Made:
        """CAST of numbers and of true and false (1 and 0) to DOUBLE; every number is one."""
        value, kind = self.made(node.this)
        if not node.to.is_type(exp.DataType.Type.DOUBLE) or kind in (Kind.TEXT, Kind.DATE):  # type: ignore[attr-defined]
            raise FormulaError("CAST makes a DOUBLE of a number, or of true and false")
        return double(value), Kind.NUMBER

    def length(self, node: exp.Expr) -> _Made:
        (value,) = self.of(Kind.TEXT, node.this)
        return double(exp.Length(this=value)), Kind.NUMBER

    def mean_of(self, node: exp.Expr) -> _Made:
        """MEAN_OF(a, b, ...): the mean of those that are known, true counting as 1; unknown where none is."""
        if node.name.lower() != "mean_of":
            raise FormulaError(f"uses {inert(node.name)}: allowed are {_ALLOWED}")
        if not node.expressions:
            raise FormulaError("MEAN_OF takes at least one value")
        kind, values = self.alike(*node.expressions)
        if kind not in (Kind.NUMBER, Kind.BOOLEAN):
            raise FormulaError("MEAN_OF takes numbers, or true and false")
        return mean([double(value) for value in values], self.again), Kind.NUMBER

    def again(self, value: exp.Expr) -> exp.Expr:
        """A copy, for what needs a value twice. Raises FormulaError: within one another, copies double each time."""
        self._copied += sum(1 for _ in value.walk())
        if self._copied > _MOST_COPIED:
            raise FormulaError("has too much within SQRT, LN or MEAN_OF, or too many of them within one another")
        return value.copy()

    def of(self, kind: Kind, *nodes: exp.Expr) -> Sequence[exp.Expr]:
        """These, which all have to be of this kind."""
        return _checked(kind, nodes, [self.made(node) for node in nodes])

    def alike(self, *nodes: exp.Expr) -> tuple[Kind | None, Sequence[exp.Expr]]:
        """These, which have to be of one kind, and that kind."""
        found = [self.made(node) for node in nodes]
        kind = next((its for _, its in found if its), None)
        return kind, _checked(kind, nodes, found)


def _checked(kind: Kind | None, nodes: Sequence[exp.Expr], found: Sequence[_Made]) -> Sequence[exp.Expr]:
    for node, (_, its) in zip(nodes, found, strict=True):
        if kind and its and its is not kind:
            raise FormulaError(f"{_text(node)} is {_CALLED[its]}, where {_CALLED[kind]} has to be")
    return [made for made, _ in found]


def _text(node: exp.Expr) -> str:
    return inert(node.sql(dialect="duckdb"))


_Make = Callable[["_Maker", exp.Expr], _Made]

_ALLOWED = (
    "+ - * / %, comparisons, AND, OR, NOT, IS NULL, IN, BETWEEN, CASE, COALESCE, NULLIF, GREATEST, LEAST, ABS, ROUND, "
    "CEIL, FLOOR, SIGN, SQRT, LN, LENGTH, MEAN_OF, DATE_DIFF and CAST ... AS DOUBLE"
)


def _alone(kind: Kind | None) -> _Make:
    return lambda maker, node: (node.copy(), kind)


def _around(kind: Kind) -> _Make:
    return lambda maker, node: (exp.paren(type(node)(this=maker.of(kind, node.this)[0]), copy=False), kind)


_MAKERS: dict[type[exp.Expr], _Make] = {
    exp.Column: _Maker.column,
    exp.Literal: _Maker.literal,
    exp.Boolean: _alone(Kind.BOOLEAN),
    exp.Null: _alone(None),
    exp.Paren: lambda maker, node: maker.made(node.this),
    exp.Neg: _around(Kind.NUMBER),
    exp.Not: _around(Kind.BOOLEAN),
    **dict.fromkeys((exp.Add, exp.Sub, exp.Mul, exp.Div, exp.Mod), _Maker.arithmetic),
    **dict.fromkeys((exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE), _Maker.comparison),
    **dict.fromkeys((exp.And, exp.Or), _Maker.logic),
    exp.Is: _Maker.is_null,
    exp.In: _Maker.within,
    exp.Between: _Maker.between,
    exp.Case: _Maker.case,
    **dict.fromkeys((exp.Coalesce, exp.Nullif), _Maker.same),
    **dict.fromkeys((exp.Greatest, exp.Least), _Maker.extreme),
    **dict.fromkeys((exp.Abs, exp.Ceil, exp.Floor, exp.Sign), _Maker.of_number),
    exp.Round: _Maker.rounded,
    **dict.fromkeys((exp.Sqrt, exp.Ln), _Maker.root),
    exp.DateDiff: _Maker.days,
    exp.Cast: _Maker.cast,
    exp.Length: _Maker.length,
    exp.Anonymous: _Maker.mean_of,
}
