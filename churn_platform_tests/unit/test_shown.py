"""Shown: a value from outside can be read in a message, and does nothing there."""

from __future__ import annotations

import pytest

from churn_platform.shown import MOST, as_lines, as_text, counted, inert


@pytest.mark.parametrize(
    "text",
    [
        "-1",
        "7590-VHVEG",
        "failed_payments_90d",
        "users.csv/_temporary",
        "Two year",
        "3.5 %",
        "it's",
        "Zoë",
        "12:30",
        "",
    ],
)
def test_plain_values_are_shown_as_they_are(text: str) -> None:
    assert inert(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("<script>alert(1)</script>", r"\x3cscript\x3ealert(1)\x3c/script\x3e"),
        ("&lt;b&gt;", r"\x26lt;b\x26gt;"),
        ("[x](javascript:alert(1))", r"\x5bx\x5d(javascript:alert(1))"),
        ("![x](http://a)", r"!\x5bx\x5d(http\x3a//a)"),
        ("https://evil.example", r"https\x3a//evil.example"),
        ("ann@evil.example", r"ann\x40evil.example"),
        ("www.evil.example", r"www\x2eevil.example"),
        ("WwW.evil.example", r"WwW\x2eevil.example"),
        ("**b** _i_ ~~s~~ `c`", r"\x2a\x2ab\x2a\x2a _i\x5f \x7e\x7es\x7e\x7e \x60c\x60"),
        ("a | b", r"a \x7c b"),
        ("a\r\nb\tc\0d", r"a\x0d\x0ab\x09c\x00d"),
        ("\x1b[31mred\x9b0m", r"\x1b\x5b31mred\x9b0m"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("a\u200bb\u2028c\ufeff", r"a\u200bb\u2028c\ufeff"),
        ("\\x3c", r"\x5cx3c"),
        ("\ud800\U000e0041", r"\ud800\U000e0041"),
    ],
)
def test_nothing_in_a_value_means_anything(text: str, shown: str) -> None:
    assert inert(text) == shown


def test_long_values_are_cut() -> None:
    assert inert("A" * MOST) == "A" * MOST
    assert inert("A" * 200_006) == "A" * MOST + "... (200,006 characters)"
    assert len(inert("\U000e0041" * 10**6)) < 1000


def test_a_number_stands_with_its_noun() -> None:
    assert [counted(n, "row") for n in (0, 1, 2, 1_200)] == ["0 rows", "1 row", "2 rows", "1,200 rows"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("<b> [x](y) a_b", "<b> [x](y) a_b"),
        ("a\r\nb\tc\x85d\u2028e\xa0f", "a  b c d e f"),
        ("\x1b]0;owned\x07\x9b2J\0", r"\x1b]0;owned\x07\x9b2J\x00"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("Zoë", "Zoë"),
    ],
)
def test_a_whole_text_is_one_line_that_only_prints(text: str, shown: str) -> None:
    assert as_text(text) == shown


def test_a_whole_text_is_cut_too() -> None:
    assert as_text("A" * 5000) == "A" * 4000 + "... (5,000 characters)"
    assert as_text("A\n" * 50, 3) == "A A... (100 characters)"


def test_no_line_looks_like_the_first_of_another() -> None:
    assert as_lines("a\nb\r\n\x1bc", "  ") == "a\n  b \n  \\x1bc"
