"""What a declaration calls its columns: each name stands for one thing, now and by what it was called before."""

from __future__ import annotations

import re

import msgspec
import pytest

from churn_platform.company.declaration import DeclarationError
from churn_platform.company.names import FIELDS, RESERVED
from churn_platform.company.reading import parse
from churn_platform.contracts import Contract
from serving.naming import Naming

GYM = """
[company]
name = "Gym"
[customer]
key = "Member No"
[tables.members]
meaning = "The members."
customers = true
[tables.members.columns]
Visits = { kind = "integer", was = ["Entries"], meaning = "Visits." }
Start = { kind = "date", was = ["Joined"], meaning = "The first day." }
[tables.calls]
meaning = "Calls."
[tables.calls.columns]
Calls = { kind = "integer", meaning = "Calls." }
[features.history]
columns = ["Visits"]
"""
NAMED = [
    kind
    for kind in vars(Naming(Contract(parse(GYM, "gym.toml")))).values()
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct)
]
"""The API's messages in which the key stands, and its log."""
TAKEN = {name for kind in NAMED for name in kind.__struct_fields__} - {"customer", "customers"} | {"kind"}


def ignored(name: str) -> str:
    return f'"{name}" = {{ kind = "text", role = "ignored", meaning = "x" }}\n'


def told(text: str) -> str:
    with pytest.raises(DeclarationError) as raised:
        parse(text, "gym.toml")
    return str(raised.value)


@pytest.mark.parametrize("name", ["visits", "member no", "VISITS", "entries", "Joined"])
def test_an_ignored_column_may_not_be_called_as_another_of_its_table_but_for_capitals(name: str) -> None:
    """Engines that fold letters would take the one's values for the other's."""
    found = told(GYM.replace("Visits = {", f"{ignored(name)}Visits = {{"))
    assert re.search(rf"tables.members has {name}\b.*: give each another name", found)


def test_ignored_columns_of_other_tables_have_names_of_their_own() -> None:
    parse(GYM.replace("Calls = {", f"{ignored('visits')}{ignored('entries')}Calls = {{"), "gym.toml")


def test_what_a_file_calls_a_column_may_be_a_column_of_another_table_but_not_of_its_own() -> None:
    other = "Made = {{ kind = 'integer', header = '{}', meaning = 'Calls made.' }}\nCalls = {{"
    parse(GYM.replace("Calls = {", other.format("Visits")), "gym.toml")
    for header in ("Calls", "Member No"):
        found = told(GYM.replace("Calls = {", other.format(header)))
        assert f"tables.calls.Made.header has {header}" in found
    keyed = GYM.replace('"Calls."\n[', '"Calls."\nkey = "Caller"\n[')
    parse(keyed.replace("Calls = {", other.format("Member No")), "gym.toml")


@pytest.mark.parametrize("name", ["member no", "VISITS", "entries"])
def test_a_file_may_have_columns_that_differ_by_capitals_alone(name: str) -> None:
    """The declaration cannot, since engines fold letters: `header` says which column of the file is meant."""
    again = f'"{name}" = {{ kind = "text", role = "ignored", meaning = "x" }}\nVisits = {{'
    assert "give each another name; a column's `header` says what its file calls it" in told(
        GYM.replace("Visits = {", again)
    )
    other = again.replace(f'"{name}" = {{', f'Other = {{ header = "{name}",')
    parse(GYM.replace("Visits = {", other), "gym.toml")


def called(said: str) -> str:
    """The club, with a column of the table of calls of which this is said besides."""
    column = f'Made = {{ kind = "integer", {said}, meaning = "Calls made." }}'
    return GYM.replace("Calls = {", f"{column}\nCalls = {{")


@pytest.mark.parametrize(
    "said",
    [
        'header = "Cost", header_was = ["Visits"]',
        'header_was = ["Sum", "Visits", "Visits"], was = ["Sum"]',
        'header = "Made", header_was = ["made"]',
    ],
)
def test_a_file_may_have_called_a_column_by_several_names(said: str) -> None:
    contract = Contract(parse(called(said), "gym.toml"))
    (calls,) = (table for table in contract.states if table.name == "calls")
    assert dict(calls.file.renamed).keys() == {*re.findall(r'"(\w+)"', said)}
    assert "Visits" not in contract.former  # it is another table's


def test_a_name_that_only_a_file_had_is_sent_from_was_to_where_it_belongs() -> None:
    cure = "; a name that only a file has had stands in `header_was`, not in `was`"
    found = told(called('header = "Cost", was = ["Visits"]'))
    assert f"tables.calls.Made.was has Visits: give each another name{cure}" in found
    assert cure not in told(GYM.replace('was = ["Joined"]', 'was = ["Visits"]'))  # it would not do there


@pytest.mark.parametrize(("until", "sound"), [("2024-02", True), ("2024-03", False), ("", False)])
def test_a_file_may_call_two_columns_alike_one_after_the_other(until: str, sound: bool) -> None:
    text = called('header = "Calls", since = "2024-03"')
    text = text.replace("Calls = {", f'Calls = {{ until = "{until}", ' if until else "Calls = {")
    if sound:
        parse(text, "gym.toml")
    else:
        assert "tables.calls has Calls and tables.calls.Made.header has Calls: give each another name" in told(text)


@pytest.mark.parametrize(
    "name",
    ["days_since_Joined", "entries_change_1m", "Entries_ratio_2m", "Entries__1m_ago"],
)
def test_what_features_were_called_is_not_the_name_of_another(name: str) -> None:
    """The champion that has learned the renamed column would be given the other feature."""
    derived = f'[features.derived]\n{name} = {{ sql = "Visits * 1000", meaning = "x" }}\n'
    assert f"features.derived has {name}: give each another name" in told(GYM + derived)


@pytest.mark.parametrize(
    "name", ["days_since_Entries", "Joined_change_1m", "Joined__1m_ago", "Entries_change_2m", "Entries_ratio_1m"]
)
def test_what_no_feature_was_called_is_a_name_like_others(name: str) -> None:
    column = f'{name} = {{ kind = "number", meaning = "x" }}\nCalls = {{'
    parse(GYM.replace("Calls = {", column), "gym.toml")


def test_a_column_that_is_only_written_otherwise_keeps_its_features_names() -> None:
    parse(GYM.replace('was = ["Joined"]', 'was = ["start", "START"]'), "gym.toml")


@pytest.mark.parametrize("field", [*sorted(TAKEN), "Features", "feature", "result"])
def test_the_key_is_not_called_as_what_the_api_says_beside_it(field: str) -> None:
    found = told(GYM.replace("Member No", field))
    assert f"customer.key: {field} " in found
    assert f'give it another one, and say `key = "{field}"` in each table' in found


@pytest.mark.parametrize("name", sorted(RESERVED))
def test_what_to_do_about_a_name_that_the_platform_uses_is_what_a_declaration_may_say(name: str) -> None:
    """Months may have been closed with a name before the platform took it."""
    column = '{0} = {{ kind = "number", meaning = "x"{1} }}\nVisits = {{'
    again = "`churn company check` then names"
    found = told(GYM.replace("Visits = {", column.format(name, "")))
    assert f'give it another one, and say `header = "{name}"` where its file calls it so; {again}' in found
    found = told(GYM.replace("Visits = {", column.format("theirs", f', was = ["{name}"]')))
    assert f"leave it out of `was`, and close the months again that {again}" in found
    parse(GYM.replace("Visits = {", column.format("theirs", f', header = "{name}"')), "gym.toml")
    derived = f'\n[features.derived.{name}]\nsql = "Visits + 1"\nmeaning = "x"\n'
    assert f"features.derived: {name} is a name" in told(GYM + derived)
    anew = "where months were closed by it, start with an empty CHURN_HOME"
    assert anew in told(GYM.replace("Member No", name))


def test_the_api_has_no_field_that_is_not_kept_from_keys() -> None:
    assert TAKEN <= FIELDS | RESERVED
    Naming(Contract(parse(GYM.replace("Member No", "customer"), "gym.toml")))
