"""Declarations: the shipped one is read as it says, and every fault in another one is told at once, where it is."""

from __future__ import annotations

import re
import tomllib
from importlib import resources
from pathlib import Path

import pytest

from churn_platform.company.checking import formulas
from churn_platform.company.declaration import DeclarationError, Kind, Role
from churn_platform.company.reading import json_schema, parse, shipped
from churn_platform.contracts import Contract, declared
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
        ('key = "CustomerId"', 'key = "Customer;Id"', "customer.key: Expected `str` matching regex"),
        ("Balance = {", "as_of = { role = 'ignored',", "columns.as_of: is a name that the platform's own tables use"),
        ('key = "CustomerId"', "", "customer.key is missing"),
        ('key = "CustomerId"', 'key = "CustomerId"\nkinds = 1', "kinds is unknown: key, kind, pattern or example may"),
        ('name = "Small"', "name = 3", "company.name: Expected `str`, got `int`"),
        ('kind = "number"', 'kind = "amount"', "tables.people.columns.Balance.kind: Invalid enum value 'amount'"),
        ('kind = "number", ', "", "tables.people.columns.Balance.kind is missing"),
        ("Balance = {", "Balance = { minimun = 0,", "tables.people.columns.Balance.minimun is unknown"),
        ("Balance = {", "Balance = { minimum = 2, maximum = 1,", "Balance: its minimum is above its maximum"),
        ("Balance = {", 'Balance = { pattern = "(",', "Balance: its pattern is no regular expression"),
        ("Balance = {", 'Balance = { values = ["a"],', "Balance: only a category has `values`"),
        ("Balance = {", "Balance = { earliest = 2000-01-01,", "Balance: only a date has an earliest day"),
        ("Balance = {", 'CustomerId = { kind = "text", meaning = "Who." }\nBalance = {', "every table has"),
        ("Balance = {", 'Name = { kind = "text", meaning = "Who." }\nBalance = {', "free text is no feature"),
        ("Balance = {", 'Balance = { role = "key",', "name the key in [customer]"),
        ('fee = "Balance"', 'fee = "Fee"', "money.fee: there is no column Fee"),
        ("[money]", '[features.history]\ncolumns = ["Exited"]\n[money]', "history.columns: there is no column Exited"),
        ("customers = true", "", "exactly one has to say `customers = true`"),
        ('column = "Exited"', 'column = "Left"', "label: there is no column Left in a table left"),
        ('role = "label", ', "", "Exited: is the label, so its role has to be `label`"),
        ("Balance = {", 'Balance = { role = "segment",', "its kind has to be `category` or `boolean`"),
        ("Balance = {", 'Balance = { role = "ignored",', "money.fee: Balance has to have the role `feature`"),
        ("Balance = {", 'balance = { kind = "number", meaning = "x" }\nBalance = {', "people has balance and"),
        ("Balance = {", 'as_of = { kind = "number", meaning = "x" }\nBalance = {', "the platform's own tables use"),
        ("customers = true", 'customers = true\nencoding = "utf-88"', "tables.people: there is no encoding utf-88"),
        ("customers = true", 'customers = true\ndate_format = "%d.%m"', "date_format %d.%m does not say a whole date"),
        ("customers = true", 'customers = true\ntrue_values = ["ja"]', "true_values and false_values go together"),
        ("customers = true", 'customers = true\nfile = "left"', "is read from the file left: people, left"),
        ("customers = true", 'customers = true\nfile = "../x"', "tables.people.file: Expected `str` matching regex"),
        ("customers = true", 'customers = true\nsnapshots = "people"', "has to end with _snapshots"),
        ('kind = "boolean", role', 'kind = "number", role', "Exited: is the label, so its kind has to be `boolean`"),
        ("[tables.left]", "[tables.'a b']\nmeaning = 'x'\ncolumns = {}\n[tables.left]", "tables.a b: Expected `str`"),
    ],
)  # fmt: skip
def test_a_fault_is_told_where_it_is(before: str, after: str, told: str) -> None:
    assert before in SMALL
    with pytest.raises(DeclarationError) as raised:
        parse(SMALL.replace(before, after), "small.toml")
    assert told in str(raised.value)
    assert str(raised.value).startswith("small.toml")


def test_every_wrong_formula_is_told() -> None:
    derived = "x = { sql = 'Balanc / 2', meaning = 'x' }\ny = { sql = 'Balance > 2', meaning = 'y' }"
    declaration = parse(SMALL.replace("[money]", f"[features.derived]\n{derived}\n[money]"), "small.toml")
    with pytest.raises(DeclarationError) as raised:
        formulas(declaration)
    assert "features.derived.x: there is no column Balanc: did you mean Balance?" in str(raised.value)
    assert "features.derived.y: gives a boolean, so its kind has to be `boolean`" in str(raised.value)


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


def test_the_shipped_declaration_is_sound() -> None:
    assert parse(TEXT, "streamflow.toml") == shipped()
    assert formulas(shipped()).keys() == shipped().features.derived.keys()


def test_a_copy_of_the_shipped_one_is_the_shipped_one(tmp_path: Path) -> None:
    (tmp_path / "company.toml").write_text(TEXT)
    assert declared(tmp_path / "company.toml") is declared(None)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "cannot be read (No such file or directory)"),
        (b"name = '\xff'", "is not UTF-8"),
        (b"a = ", "is not TOML"),
    ],
)
def test_a_file_that_is_no_declaration_is_told(content: bytes | None, told: str, tmp_path: Path) -> None:
    file = tmp_path / "company.toml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(DeclarationError, match=re.escape(told)):
        declared(file)


def test_labels_may_be_still_to_come() -> None:
    before, _, after = SMALL.partition("[label]")
    left = after.partition("[tables.left]")[0].partition("[money]")[2]
    contract = Contract(parse(f"{before}[money]{left}", "small.toml"))
    assert [column.name for column in contract.labels.columns] == ["CustomerId", "churned"]
    assert not contract.labels.required


def test_a_label_beside_other_columns_makes_a_table_of_labels() -> None:
    text = SMALL.replace('table = "left"', 'table = "people"').partition("[tables.left]")[0]
    label = 'Exited = { kind = "boolean", role = "label", meaning = "Left." }'
    contract = Contract(parse(f"{text}{label}\n", "small.toml"))
    assert [table.name for table in contract.tables] == ["people", "labels"]
    assert [column.name for column in contract.customers.columns] == ["CustomerId", "Balance"]
    assert [column.name for column in contract.labels.columns] == ["CustomerId", "Exited"]
    assert contract.labels.file == contract.customers.file


def test_the_schema_for_editors_is_what_the_types_say() -> None:
    named = TEXT.splitlines()[0].removeprefix("#:schema ")
    file = Path(__file__).parents[2] / "churn_platform/company" / named
    assert file.read_text() == json_schema(), "run `make docs`"


def test_ignored_columns_may_share_a_name_with_any_other() -> None:
    column = 'Balance = { kind = "text", role = "ignored", meaning = "x" }'
    extra = f'[tables.more]\nmeaning = "More."\n[tables.more.columns]\n{column}\n'
    contract = Contract(parse(SMALL + extra, "small.toml"))
    assert contract.columns["Balance"].kind is Kind.NUMBER


def test_what_stands_beside_a_label_is_no_feature() -> None:
    reason = 'Reason = { kind = "category", nullable = true, meaning = "Why." }\n'
    with pytest.raises(DeclarationError, match="what else it says would be known only with it"):
        parse(SMALL + reason, "small.toml")
    contract = Contract(parse(SMALL + reason.replace("kind", 'role = "ignored", kind'), "small.toml"))
    assert [column.name for column in contract.labels.columns] == ["CustomerId", "Exited", "Reason"]
