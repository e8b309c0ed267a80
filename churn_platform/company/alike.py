"""Alike: formulas that were declared at other times: whether two give the same values, and what one was made of.

Here: what their texts say. Not here: what a formula may say (`formulas`), or which one made what (the tables).
"""

from __future__ import annotations

from churn_platform.company import past
from churn_platform.company.checking import usable
from churn_platform.company.declaration import Declaration, Kind


def alike(one: str, other: str, declaration: Declaration) -> bool:
    """Whether two formulas say the same, by the names that columns have now or had before.

    How they are written makes no difference: spaces, capitals of SQL's own words, quotes, parentheses around one thing.
    Nor does it matter that whole numbers have become amounts. One that cannot be read any more says something else.
    """
    if one == other:
        return True
    from sqlglot.errors import SqlglotError

    from churn_platform.company.formulas import FormulaError

    try:
        return _plain(one, declaration) == _plain(other, declaration)
    except (FormulaError, SqlglotError, RecursionError):
        return False


def columns_of(sql: str) -> frozenset[str]:
    """The columns that a formula uses; none where it cannot be read any more."""
    import sqlglot
    from sqlglot import exp
    from sqlglot.errors import SqlglotError

    try:
        return frozenset(column.name for column in sqlglot.parse_one(sql, dialect="duckdb").find_all(exp.Column))
    except SqlglotError:
        return frozenset()


def _plain(sql: str, declaration: Declaration) -> str:
    """What a formula says, written in the one way that the platform writes it."""
    import sqlglot
    from sqlglot import exp

    from churn_platform.company.formulas import of_tree

    kinds = usable(declaration)
    present = {
        name: new
        for old, new in past.former(declaration).items()
        for name, new in ((old, new), *((past.ago(old, months), past.ago(new, months)) for months in past.MONTHS))
        if name not in kinds
    }

    def renamed(node: exp.Expr) -> exp.Expr:
        is_former = isinstance(node, exp.Column) and node.name in present
        return exp.column(present[node.name], quoted=True) if is_former else node

    tree = sqlglot.parse_one(sql, dialect="duckdb").transform(renamed)
    numbers = {name: Kind.NUMBER if kind is Kind.INTEGER else kind for name, kind in kinds.items()}
    return of_tree(tree, numbers).sql
