"""Declared: what a declaration means for the months that were closed before it, and for the champion.

Here: comparing closed months and a version's schema with what is declared now. Not here: the declaration (`company`),
or what a run does about it (the assets).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import dataclass

from churn_platform.bundle import Feature
from churn_platform.company import past
from churn_platform.company.alike import alike, columns_of
from churn_platform.company.declaration import Role
from churn_platform.contracts import Column, Contract
from churn_platform.lake import Lake
from churn_platform.months import Month
from churn_platform.tables.features import AS_OF, dated, schema
from churn_platform.tables.kinds import RENAME, changed_kinds
from churn_platform.tables.names import FEATURES, landed
from churn_platform.tables.origins import barred, made_otherwise, unfinished
from churn_platform.tables.training_set import unlike_labels


@dataclass(frozen=True)
class Consequence:
    """What follows from a declaration, in a sentence, and whether somebody has to do something about it."""

    sentence: str
    pressing: bool = False


_Gap = tuple[Callable[[Sequence[Month], str], str], str]
"""The sentence that tells of months what they were closed without, and what that is."""


def of_months(lake: Lake) -> Iterator[Consequence]:
    """What follows for the closed months whose features are not the declared ones: one sentence for all alike."""
    more: set[str] = set()
    gaps: dict[_Gap, list[Month]] = {}
    for month in lake.months(FEATURES):
        found = set(lake.read(FEATURES, month).columns)
        for gap in _gaps(lake, month, found):
            gaps.setdefault(gap, []).append(month)
        made = {feature.name for feature in schema(lake.contract)}
        more |= {name for name in found if past.called(lake.contract.former, name, made) not in made}
    yield from (Consequence(told(months, what), pressing=True) for (told, what), months in gaps.items())
    more -= {lake.contract.key, AS_OF}
    if more and lake.contract.key in found:
        yield Consequence(f"closed months have {', '.join(sorted(more))}, declared no more: new versions do without")


def _gaps(lake: Lake, month: Month, found: Set[str]) -> Iterator[_Gap]:
    contract = lake.contract
    if contract.key not in found:
        yield _another_key, contract.key
        return
    if why := barred(lake, month):
        yield _barred, why
        return
    for table in contract.states:
        if table.at(month).required and not lake.has(landed(table.name), month):
            yield _no_table, table.name
    if changed := _changed_kinds(lake, month):
        yield _other_kinds, ", ".join(changed)
    wanted = [feature.name for feature in schema(contract)]
    if lake.has(landed(contract.labels.name), month) and (unlike := unlike_labels(lake, month)):
        yield _no_labels, unlike
    unknown = [name for name in wanted if past.called(contract.former, name, found) not in found]
    if lacking := [name for name in unknown if name not in dated(contract)]:
        yield _no_features, ", ".join(lacking)
    if unfinished(lake, month):
        yield _unfinished, ""
    if other := [name for name in made_otherwise(lake, month) if name not in changed]:
        yield _other_features, ", ".join(other)


def _another_key(months: Sequence[Month], key: str) -> str:
    told = f"{_all(months)} {_either(months, 'was', 'were')} closed by another key than {key}"
    return f"{told}: declare the old key, or start with an empty CHURN_HOME"


def _barred(_: Sequence[Month], why: str) -> str:
    return why


def _no_table(months: Sequence[Month], table: str) -> str:
    told = f"{_all(months)} {_either(months, 'was', 'were')} closed without {table}"
    again = _either(months, "the drop and close the month again", "the drops and close the months again")
    was = "`was` if the table had another name (all that it had, the first one first)"
    return f"{told}: declare `since`, {was}, or put its file into {again}"


def _other_kinds(months: Sequence[Month], names: str) -> str:
    told = f"{_all(months)} {_either(months, 'has', 'have')} {names} of another kind than is declared now"
    return f"{told}: {RENAME}, or {_close(months)}"


def _no_labels(months: Sequence[Month], unlike: str) -> str:
    return f"the labels of {_all(months)} {unlike}, so no version is trained on them: {_close(months)}"


def _no_features(months: Sequence[Month], names: str) -> str:
    return f"{_all(months)} {_either(months, 'lacks', 'lack')} {names}, {_not_trained(months)}: {_close(months)}"


def _unfinished(months: Sequence[Month], _: str) -> str:
    return f"a close of {_all(months)} did not come to its end, {_not_trained(months)}: {_close(months)}"


def _other_features(months: Sequence[Month], names: str) -> str:
    told = f"{_all(months)} {_either(months, 'has', 'have')} {names}, made otherwise than is declared now"
    return f"{told}, {_not_trained(months)}: {_close(months)}"


def _not_trained(months: Sequence[Month]) -> str:
    return f"so no version is trained on {_either(months, 'it', 'them')}"


def _close(months: Sequence[Month]) -> str:
    return _either(months, f"close it again (churn close {months[0]})", "close them again (churn close --all)")


def _all(months: Sequence[Month]) -> str:
    *others, last = map(str, months)
    return f"{', '.join(others)} and {last}" if others else last


def _either(months: Sequence[Month], one: str, several: str) -> str:
    return one if len(months) == 1 else several


def _changed_kinds(lake: Lake, month: Month) -> list[str]:
    """The columns that the month was closed with of another kind, whatever their role: the next month stops on one."""
    contract, labels = lake.contract, lake.contract.labels
    stored = {**contract.snapshots, landed(labels.name): labels}
    tables = [(lake.read(name, month), table) for name, table in stored.items() if lake.has(name, month)]
    return [column for rows, table in tables for column in changed_kinds(rows, table)]


def of_version(lake: Lake, number: int, trained: Month, version: Sequence[Feature]) -> Iterator[Consequence]:
    """What follows for a version that serves, trained for this month: what it asks for and is made no more, or not so.

    Where it has already learned from months without a column, nothing follows from that column's end.
    """
    now = {feature.name: feature for feature in schema(lake.contract)}
    called = {feature.name: past.called(lake.contract.former, feature.name, now) for feature in version}
    gone = [feature for feature in version if called[feature.name] not in now]
    champion = f"the champion, version {number},"
    if needed := [feature.name for feature in gone if feature.must_be_given]:
        told = f"{champion} cannot score a month without {', '.join(needed)}"
        cure = "declare it with `until`, or as a feature again, or retrain and promote a version that does without"
        yield Consequence(f"{told}: {cure}", pressing=True)
    if missed := [feature.name for feature in gone if not feature.must_be_given]:
        yield Consequence(f"{champion} goes on with {', '.join(missed)} unknown")
    if other := [f.name for f in version if (name := called[f.name]) in now and now[name].kind != f.kind]:
        told = f"{champion} knows {', '.join(other)} as another kind"
        yield Consequence(f"{told}: {RENAME}, or retrain and promote a version that knows the new one", pressing=True)
    if learned := [f.name for f in version if _by_another_formula(f, now.get(called[f.name]), lake.contract)]:
        told = f"{champion} has learned {', '.join(learned)} by another formula than the one that it is given"
        yield Consequence(f"{told}: retrain, or give the new formula another name", pressing=True)
    for until, columns in _ending(lake.contract, trained, version).items():
        goes_on = f"{champion} goes on with {'it' if len(columns) == 1 else 'them'} unknown after that"
        ends = f"{', '.join(columns)} {'ends' if len(columns) == 1 else 'end'} with {until}"
        yield Consequence(f"{ends}: {goes_on}, until a version trained for a later month takes its place")


def of_retraining(lake: Lake, number: int, version: Sequence[Feature]) -> Iterator[Consequence]:
    """What a retrain learns that this version does not know."""
    now = [feature.name for feature in schema(lake.contract)]
    called = {past.called(lake.contract.former, feature.name, now) for feature in version}
    if new := [name for name in now if name not in called]:
        yield Consequence(f"a retrain learns {', '.join(new)}, which version {number} does not know")


def _ending(contract: Contract, trained: Month, version: Sequence[Feature]) -> dict[Month, list[str]]:
    """The columns that a version has learned from and that end with a month, by that month."""
    columns = (column for table in contract.states for column in table.with_role(Role.FEATURE, Role.BASIS))
    ending = [(column.until, column) for column in columns if column.until is not None and trained <= column.until]
    if not ending:
        return {}  # alerts ask every few seconds, and reading formulas takes its time
    learned = {feature.name for feature in version}.union(*(columns_of(feature.formula) for feature in version))
    found: dict[Month, list[str]] = {}
    for until, column in ending:
        names = {name for old in (column.name, *column.was) for name in _made_of(contract, column, old)}
        if names & learned:
            found.setdefault(until, []).append(column.name)
    return found


def _made_of(contract: Contract, column: Column, name: str) -> Iterator[str]:
    """What is made of a column, and what formulas call it, by a name that it has or had."""
    history = contract.declaration.features.history
    yield from (name, *(past.ago(name, months) for months in past.MONTHS))
    yield past.days(name)
    if column.name in history.columns:
        yield from (past.change(name, months) for months in history.change)
        yield from (past.ratio(name, months) for months in history.ratio)


def _by_another_formula(learned: Feature, now: Feature | None, contract: Contract) -> bool:
    """Whether a version knows a feature by another formula than is declared now, as far as both are of one."""
    if now is None or not (learned.formula and now.formula):
        return False
    return not alike(learned.formula, now.formula, contract.declaration)
