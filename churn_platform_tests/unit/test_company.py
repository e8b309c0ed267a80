"""Declarations: the shipped one is read as it says, and every fault in another one is told at once, where it is."""

from __future__ import annotations

import re
import tomllib
from importlib import resources

import pytest

from churn_platform.company.declaration import DeclarationError, Kind, Role
from churn_platform.company.reading import parse, shipped
from churn_platform.contracts import Contract
from churn_platform_tests.streamflow import BY_NAME, KEY, LABEL, TABLES, USERS

TEXT = resources.files("churn_platform.company").joinpath("streamflow.toml").read_text()
SMALL = """
[company]
name = "Small"
[customer]
key = "CustomerId"
[label]
table = "left"
column = "Exited"
[money]
fee = "Balance"
[tables.people]
meaning = "The customers."
customers = true
[tables.people.columns]
Balance = { kind = "number", meaning = "What is there." }
[tables.left]
meaning = "Who left."
[tables.left.columns]
Exited = { kind = "boolean", role = "label", meaning = "Left." }
"""


def test_the_contract_is_what_the_file_says() -> None:
    said = tomllib.loads(TEXT)
    assert said["customer"]["key"] == KEY
    assert said["label"]["column"] == LABEL
    assert BY_NAME.keys() == said["tables"].keys()
    for name, table in BY_NAME.items():
        key, *columns = table.columns
        assert (key.name, key.role, key.pattern) == (KEY, Role.KEY, said["customer"]["pattern"])
        assert [column.name for column in columns] == list(said["tables"][name]["columns"])
        for column in columns:
            declared = said["tables"][name]["columns"][column.name]
            assert (column.kind, column.meaning) == (declared["kind"], declared["meaning"])
            assert list(column.allowed) == declared.get("values", [])
    assert USERS.customers
    assert USERS["signup_date"].earliest == said["tables"]["users"]["columns"]["signup_date"]["earliest"]


def test_tables_come_in_an_order_of_their_own() -> None:
    """The one that says who the customers are first, the labels last, wherever the file has them."""
    first, *others = re.split(r"^(?=\[tables\.\w+\]$)", TEXT, flags=re.MULTILINE)
    turned = Contract(parse("".join([first, *reversed(others)]), "turned.toml"))
    assert turned.customers.name == "users"
    assert turned.labels.name == "labels"
    assert set(turned.tables) == set(TABLES)


def test_a_small_company_needs_little() -> None:
    declaration = parse(SMALL, "small.toml")
    assert declaration.tables["people"].columns["Balance"].kind is Kind.NUMBER
    assert declaration.features.history.columns == ()


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ('key = "CustomerId"', 'key = "Customer Id"', "customer.key: Expected `str` matching regex"),
        ('key = "CustomerId"', "", "customer.key is missing"),
        ('key = "CustomerId"', 'key = "CustomerId"\nkinds = 1', "kinds is unknown: key or pattern may"),
        ('name = "Small"', "name = 3", "company.name: Expected `str`, got `int`"),
        ('kind = "number"', 'kind = "amount"', "tables.people.columns.Balance.kind: Invalid enum value 'amount'"),
        ('kind = "number", ', "", "tables.people.columns.Balance.kind is missing"),
        ("Balance = {", "Balance = { minimun = 0,", "tables.people.columns.Balance.minimun is unknown"),
        ("Balance = {", "Balance = { minimum = 2, maximum = 1,", "Balance: its minimum is above its maximum"),
        ("Balance = {", 'Balance = { pattern = "(",', "Balance: its pattern is no regular expression"),
        ("Balance = {", 'Balance = { values = ["a"],', "Balance: `values` are there for a category"),
        ("Balance = {", "Balance = { earliest = 2000-01-01,", "Balance: only a date has an earliest day"),
        ("Balance = {", 'CustomerId = { kind = "text", meaning = "Who." }\nBalance = {', "every table has"),
        ("Balance = {", 'Name = { kind = "text", meaning = "Who." }\nBalance = {', "free text is no feature"),
        ("Balance = {", 'Balance = { role = "key",', "name the key in [customer]"),
        ('fee = "Balance"', 'fee = "Fee"', "money.fee: there is no column Fee"),
        ("[money]", '[features.history]\ncolumns = ["Exited"]\n[money]', "history.columns: there is no column Exited"),
        ("customers = true", "", "exactly one has to say `customers = true`"),
        ('column = "Exited"', 'column = "Left"', "label: there is no column Left in a table left"),
        ('role = "label", ', "", "Exited: is the label, so its role has to be `label`"),
        ("[tables.left]", "[tables.'a b']\nmeaning = 'x'\ncolumns = {}\n[tables.left]", "tables.a b: Expected `str`"),
    ],
)  # fmt: skip
def test_a_fault_is_told_where_it_is(before: str, after: str, told: str) -> None:
    assert before in SMALL
    with pytest.raises(DeclarationError) as raised:
        parse(SMALL.replace(before, after), "small.toml")
    assert told in str(raised.value)
    assert str(raised.value).startswith("small.toml")


def test_every_fault_is_told_at_once() -> None:
    text = SMALL.replace('name = "Small"', "name = 3").replace('kind = "number"', 'kind = "amount"')
    with pytest.raises(DeclarationError) as raised:
        parse(text.replace('meaning = "Who left."', "mening = 1"), "small.toml")
    for place in ("company.name", "people.columns.Balance.kind", "tables.left.mening", "tables.left.meaning"):
        assert place in str(raised.value)


def test_a_syntax_error_has_its_line() -> None:
    with pytest.raises(DeclarationError, match="at line 3, column"):
        parse("[company]\nname = 'a'\n= 3\n", "small.toml")


def test_the_shipped_one_is_read_once() -> None:
    assert shipped() is shipped()
