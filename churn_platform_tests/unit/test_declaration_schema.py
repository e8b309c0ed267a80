"""Wrong declarations: the reader finds what the JSON Schema finds, and names every fault at once by its place."""

from __future__ import annotations

import json
import random
import tomllib
from collections.abc import Iterator
from copy import deepcopy
from datetime import date
from typing import Any

import jsonschema
import msgspec
import pytest

from churn_platform.company.declaration import Declaration, DeclarationError
from churn_platform.company.reading import json_schema, parse, slips

RICH = """
[company]
name = "Gym"
currency = "EUR"
[customer]
key = "Member No"
kind = "integer"
pattern = "[0-9]+"
example = "17"
[label]
table = "gone"
column = "Gone"
horizon_days = 31
leaves = { after_months = 1 }
involuntary = { column = "Reason", values = ["unpaid", "dead"] }
[money]
fee = "Monthly Fee"
[tables.members]
meaning = "Who is a member."
customers = true
missing = "unknown"
snapshots = "members_snapshots"
file = "members*"
delimiter = ";"
decimal = ","
encoding = "utf-8"
null_values = ["-", "?"]
true_values = ["ja"]
false_values = ["nein"]
date_format = "%d.%m.%Y"
since = "2024-01"
until = "2024-12"
was = ["customers"]
[tables.members.columns.Plan]
kind = "category"
role = "segment"
values = ["Basic", "Plus"]
meaning = "The plan."
nullable = true
optional = false
[tables.members.columns."Monthly Fee"]
kind = "number"
minimum = 0
maximum = 99.5
meaning = "The fee."
since = "2024-02"
until = "2024-11"
was = ["Fee", "Price"]
header = "Amount"
header_was = ["Sum", "Total"]
[tables.members.columns.Joined]
kind = "date"
earliest = 2010-01-01
meaning = "The first day."
[features.history]
columns = ["Monthly Fee"]
change = [1, 2]
ratio = [2]
[features.derived.rich]
sql = "Fee > 3"
kind = "boolean"
meaning = "Rich."
"""
SAID = tomllib.loads(RICH)
SCHEMA = jsonschema.Draft202012Validator(json.loads(json_schema()))
OTHERS: tuple[object, ...] = (3, -1, 1.5, "x", "", "2024-13", True, [], ["x"], [3, "x"], {}, {"x": 1})
"""What stands in the place of each value in turn."""

Path = tuple[Any, ...]


def places(said: Any, path: Path = ()) -> Iterator[Path]:
    """The path of every table, value and element of a list."""
    if path:
        yield path
    for step, part in said.items() if isinstance(said, dict) else enumerate(said) if isinstance(said, list) else ():
        yield from places(part, (*path, step))


PLACES = list(places(SAID))
TABLES = [path for path in PLACES if isinstance(path[-1], str) and path[-1] not in ("tables", "columns", "derived")]


def put(said: Any, path: Path, value: object) -> None:
    for step in path[:-1]:
        said = said[step]
    said[path[-1]] = value


def got(path: Path) -> Any:
    said = SAID
    for step in path:
        said = said[step]
    return said


def told(path: Path) -> str:
    """How a fault at this place begins."""
    place = ""
    for step in path:
        place += f", value {step + 1}" if isinstance(step, int) else f".{step}" if place else step
    return place


def plain(said: Any) -> Any:
    """As JSON has it, where a day is text."""
    return json.loads(json.dumps(said, default=date.isoformat))


def agree(said: Any) -> bool:
    """Whether it is valid, on which the schema, the reader and the types have to agree."""
    valid = bool(SCHEMA.is_valid(plain(said)))
    assert valid == (not list(slips(said)))
    if valid:
        msgspec.convert(said, Declaration)
    else:
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(said, Declaration)
    return valid


def test_the_example_is_valid_and_says_everything() -> None:
    assert agree(SAID)
    known = {name for kind in json.loads(json_schema())["$defs"].values() for name in kind.get("properties", ())}
    assert known <= {step for path in PLACES for step in path}


@pytest.mark.parametrize("value", OTHERS, ids=repr)
def test_another_value_anywhere_is_wrong_for_both_or_for_neither(value: object) -> None:
    found = set()
    for path in PLACES:
        if path[-1] != "earliest":  # a schema knows days as text alone
            said = deepcopy(SAID)
            put(said, path, value)
            found.add(agree(said))
    assert False in found


def test_whatever_is_left_out_is_missed_by_both_or_by_neither() -> None:
    found = set()
    for path in TABLES:
        said = deepcopy(SAID)
        parent = said
        for step in path[:-1]:
            parent = parent[step]
        del parent[path[-1]]
        found.add(agree(said))
    assert found == {True, False}


def faults(chance: random.Random) -> Iterator[tuple[Path, object, str]]:
    """Faults of every kind, at places that are not within one another: path, value, and how it is told."""
    taken: list[Path] = []
    for path in chance.sample(PLACES, len(PLACES)):
        if any(path[: len(other)] == other[: len(path)] for other in taken):
            continue
        value = got(path)
        if isinstance(value, dict):
            taken.append((*path, "minning"))
            names = path[-1] in ("tables", "columns", "derived")
            yield (*path, "minning"), 3, f"{told((*path, 'minning'))}{':' if names else ' is unknown: '}"
        elif not isinstance(value, list):
            taken.append(path)
            yield path, {"x": 1}, f"{told(path)}: "


@pytest.mark.parametrize("seed", range(20))
def test_every_fault_is_told_at_once_by_its_place(seed: int) -> None:
    chance, said = random.Random(seed), deepcopy(SAID)
    wrong = list(faults(chance))[: chance.randrange(2, 12)]
    for path, value, _ in wrong:
        put(said, path, value)
    assert not agree(said)
    found = list(slips(said))
    for path, _, place in wrong:
        assert [one for one in found if one.startswith(place)], (path, found)
    assert len(found) == len(wrong)


@pytest.mark.parametrize(
    ("before", "after", "sentences"),
    [
        ('values = ["Basic", "Plus"]', 'values = [1, "Plus", 2]', ["Plan.values, value 1: ", "Plan.values, value 3: "]),
        ("{ after_months = 1 }", "{ after_month = 1, after_months = 13 }", ["leaves.after_month is", "after_months: "]),
        ('["unpaid", "dead"]', "[]", ["label.involuntary.values: Expected `array` of length >= 1"]),
        ('kind = "date"', 'kind = "day"', ["Joined.kind: Invalid enum value 'day': 'text', 'category', 'boolean',"]),
        ('delimiter = ";"', 'delimiter = "#"', ["members.delimiter: Invalid enum value '#': ',', ';', '\\t' or '|'"]),
    ],
)
def test_parts_of_lists_and_of_what_may_be_left_out_are_told(before: str, after: str, sentences: list[str]) -> None:
    with pytest.raises(DeclarationError) as raised:
        parse(RICH.replace(before, after), "gym.toml")
    assert [sentence for sentence in sentences if sentence not in str(raised.value)] == []
