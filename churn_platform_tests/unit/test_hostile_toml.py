"""Hostile declarations: whatever stands in the file, one sentence names it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from churn_platform.company import reading
from churn_platform.company.checking import formulas
from churn_platform.company.declaration import DeclarationError
from churn_platform.company.reading import parse, read

GYM = """
[company]
name = "Gym"
[customer]
key = "Member No"
[tables.members]
meaning = "The members."
customers = true
[tables.members.columns]
Visits = { kind = "integer", meaning = "Visits." }
Plan = { kind = "category", meaning = "The plan." }
"""


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a = " + "[" * 20_000 + "]" * 20_000, "gym.toml cannot be read: brackets in it are nested too deeply"),
        (GYM.replace("customers", f"x = {'9' * 5000}\ncustomers"), "gym.toml cannot be read: a number in it has too"),
        (GYM.replace("Gym", "G\0ym"), "gym.toml is not TOML"),
        (f"{GYM}# \0", "gym.toml is not TOML"),
    ],
    ids=["brackets", "digits", "NUL", "NUL in a comment"],
)
def test_hostile_toml_is_told_with_its_file(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "gym.toml").write_text(text)
    with pytest.raises(DeclarationError, match=re.escape(sentence)):
        read(tmp_path / "gym.toml")


def test_a_byte_order_mark_is_no_part_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "gym.toml"
    file.write_text(GYM, encoding="utf-8-sig")
    assert read(file) == parse(GYM, "gym.toml")
    assert reading.edited(file, "") is None


@pytest.mark.parametrize(
    "sql", ["Visits + 1e", "Visits + 'a", "@", "Visits + @", r"CASE WHEN Plan = '\u0000' THEN 1 END"]
)
def test_hostile_formulas_are_told_with_their_place(sql: str) -> None:
    declaration = parse(f'{GYM}[features.derived.x]\nmeaning = "x"\nsql = "{sql}"\n', "gym.toml")
    with pytest.raises(DeclarationError, match=r"^features\.derived\.x: "):
        formulas(declaration)


def test_a_type_is_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    parse(GYM, "gym.toml")

    def fail(kind: object) -> None:
        raise AssertionError(f"{kind} is looked at again")

    monkeypatch.setattr("msgspec.structs.fields", fail)
    parse(GYM, "gym.toml")
