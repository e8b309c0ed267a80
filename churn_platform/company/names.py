"""Names: what a declaration may call its columns and features, so that each name stands for one thing.

Here: names that are taken, by the platform, the API or another column, or that are too long. Not here: what a column's
past is called (`past`), or everything else that a declaration's parts have to agree on (`checking`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator

from churn_platform.company.declaration import Declaration, DeclaredColumn, DeclaredHistory, DeclaredTable, Role
from churn_platform.company.past import AS_OF, MONTHS, ago, days, features, made_of

RESERVED = frozenset(
    {AS_OF, "last_seen", "month", "probability", "decile", "value_at_risk", "reasons", "model_version", "file_row"}
    | {"risk_change", "risk_change_customer", "risk_change_model", "file_row_number"}
)
"""What the platform's own tables call their columns."""

FIELDS = frozenset(
    {"prediction", "features_used", "timestamp", "kind", "error", "detail", "results", "features"}
    | {"time", "version", "route", "log_odds", "base_log_odds", "compared_with"}
)
"""What the API's messages about customers, and its log, call what stands beside the key."""

LONGEST_NAME = 63

_Named = Iterator[tuple[str, str]]
"""Names, each with its place in the declaration."""


def of_key(key: str) -> str | None:
    """Why a key cannot have this name; None where it can. The API calls several of them by its plural."""
    if key.lower() in RESERVED:
        return "is a name that the platform's own tables use"
    if taken := sorted({key.lower(), f"{key}s".lower()} & (FIELDS | RESERVED)):
        return f"cannot be the key's name: the API's messages have a field {taken[0]} of their own beside it"
    return None


def clashes(declaration: Declaration) -> Iterator[str]:
    """Names that do not stand for one thing; programs that read tables do not tell capitals from small letters."""
    key = declaration.customer.key
    if reason := of_key(key):
        anew = "where months were closed by it, start with an empty CHURN_HOME"
        yield f'customer.key: {key} {reason}: give it another one, and say `key = "{key}"` in each table; {anew}'
    named = list(_everywhere(declaration))
    for name, place in named:
        if name.lower() in RESERVED or name.lower() == f"{key}_right".lower():
            yield f"{place}: {name} is a name that the platform's own tables use: {_instead(name, place)}"
    for name, place in ((key, "customer.key"), *named):
        if len(name.encode()) > LONGEST_NAME:
            yield f"{place}: {name} has more than {LONGEST_NAME} bytes, which is all that databases keep of a name"
    own = [(key, "customer.key")]
    told = [*_twins([*own, *named], str.lower)]
    for name, table in declaration.tables.items():
        told += _twins([*own, *_within(declaration, name)], str.lower)
        told += _twins([*([] if table.key else own), *_in_file(declaration, name)], str)
    yield from dict.fromkeys(told)


def _twins(named: list[tuple[str, str]], same: Callable[[str], str]) -> Iterator[str]:
    places = defaultdict(list)
    for name, place in named:
        places[same(name)].append((name, place))
    for found in places.values():
        if len(found) > 1:
            where = " and ".join(f"{place} has {name}" for name, place in found)
            yield f"{where}: give each another name{_hint(*(place for _, place in found))}"


def _instead(name: str, place: str) -> str:
    """What to do about a name that is taken, also where months were closed before it was."""
    if place.endswith(".was"):
        return "leave it out of `was`, and close the months again that `churn company check` then names"
    header = f', and say `header = "{name}"` where its file calls it so' if place.startswith("tables.") else ""
    return f"give it another one{header}; `churn company check` then names closed months that have to be closed again"


def _hint(*places: str) -> str:
    """How a name can be another one in the declaration while a file goes on as it is."""
    tables = {place.split(".")[1] for place in places if place.startswith("tables.")}
    if len(tables) > 1 and any(place.endswith(".was") for place in places):
        return "; a name that only a file has had stands in `header_was`, not in `was`"
    return "; a column's `header` says what its file calls it" if tables else ""


def _everywhere(declaration: Declaration) -> _Named:
    """What has to be called otherwise than everything else in all tables: all but the key and ignored columns."""
    history, label = declaration.features.history, declaration.label
    if label.table not in declaration.tables or label.column not in declaration.tables[label.table].columns:
        yield label.column, "label"
    columns = [
        (column, f"tables.{name}", said)
        for name, table in declaration.tables.items()
        for column, said in table.columns.items()
    ]
    yield from ((column, place) for column, place, said in columns if said.role is not Role.IGNORED)
    for column, place, said in columns:
        past_of = history if column in history.columns else None
        for old in _former(column, said):
            names = {old} if said.role is Role.IGNORED else {old, *_made_of(old, said, past_of)}
            yield from ((name, f"{place}.{column}.was") for name in sorted(names))
    yield from ((days(name), "features") for name, said in declaration.described.items() if said.dates_a_feature)
    yield from ((name, "features.derived") for name in declaration.features.derived)
    yield from ((name, "features.history") for name, _ in features(history))
    yield from ((ago(column, months), "features.history") for column in history.columns for months in MONTHS)


def _within(declaration: Declaration, table: str) -> _Named:
    """What has to be called otherwise than the rest of its table: its columns, ignored ones too."""
    for column, said in declaration.tables[table].columns.items():
        yield column, f"tables.{table}"
        yield from ((old, f"tables.{table}.{column}.was") for old in _former(column, said))


def _in_file(declaration: Declaration, table: str) -> _Named:
    """What a table's file calls its columns, now or before. Capitals count: no engine knows them by these names."""
    yield from _within(declaration, table)
    for column, said in declaration.tables[table].columns.items():
        for header in dict.fromkeys(said.headers):
            if header not in (column, *said.was) and not _only_at_other_times(
                declaration.tables[table], column, header
            ):
                yield header, f"tables.{table}.{column}.header"


def _only_at_other_times(table: DeclaredTable, column: str, header: str) -> bool:
    """Whether the file calls other columns so, and each of them only before this one begins or after it ends."""
    said = table.columns[column]
    others = [
        other
        for name, other in table.columns.items()
        if name != column and header in (name, *other.was, *other.headers)
    ]
    return bool(others) and all(_ends_before(other, said) or _ends_before(said, other) for other in others)


def _ends_before(one: DeclaredColumn, other: DeclaredColumn) -> bool:
    return one.until is not None and other.since is not None and one.until < other.since


def _former(column: str, said: DeclaredColumn) -> Iterator[str]:
    """The names that a column had and that are not only written otherwise."""
    return (old for old in said.was if old.lower() != column.lower())


def _made_of(old: str, said: DeclaredColumn, history: DeclaredHistory | None) -> Iterator[str]:
    """What a column's features were called when it had this name, as a champion goes on asking for them, and its past.

    Formulas of closed months call its past so.
    """
    yield from made_of(old, said, history)
    yield from (ago(old, months) for months in MONTHS if history)
