"""Markdown that the Dagster UI shows: values in it are text, the platform's own words are as they were written."""

from __future__ import annotations

import math

from churn_platform.assets.metadata import Words, markdown_table
from churn_platform_tests.hostile_values import HOSTILE, dangers


def test_no_value_means_anything_in_a_table() -> None:
    text = markdown_table(("value", "again"), [(value, value) for value in HOSTILE]).value
    assert text is not None
    lines = text.split("\n")
    assert len(lines) == 2 + len(HOSTILE) and all(line.count("|") == 3 for line in lines)
    assert dangers(text) == []


def test_numbers_blanks_and_own_words_are_as_they_are() -> None:
    row = (1, 0.12345678, None, math.nan, "2024-01", Words("does not match [0-9]{4}|x"))
    text = markdown_table("abcdef", [row]).value
    assert text is not None
    assert text.split("\n")[2] == r"| 1 | 0.123457 |  |  | 2024-01 | does not match [0-9]{4}\|x |"
