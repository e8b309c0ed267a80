"""Hostile values: what somebody may put into a drop so that it does something where it is shown.

Here: the values, and finding what is left of them in a text. Not here: where they are put, or reading pages (`pages`).
"""

from __future__ import annotations

import re

HOSTILE = (
    "<script>alert(1)</script>",
    "</script><script>alert(2)</script>",
    "<img src=x onerror=alert(3)>",
    '<meta http-equiv=refresh content="0;url=http://127.0.0.1:1/">',
    "![x](http://127.0.0.1:1/graphql?query=mutation)",
    "\x1b]0;owned\x07\x1b[2J",
    "\u202egnp.exe\u2066",
    "{{7*7}}${7*7}",
    "[link=http://127.0.0.1:1/]x[/link][red]",
    "A" * 5000,
    "a\0b\x9bc",
    "=HYPERLINK(http://127.0.0.1:1/)",
    "a\r\n2024-01-01 00:00:00 ERROR forged: b",
)
"""Each means something to a browser, to Markdown, a terminal, a template, a spreadsheet, or to whoever reads a log."""

_MARKUP = re.compile(r"<script>alert|<img src=x|<meta http-equiv=refresh|!\[x\]\(http|(?<!\w)http://127\.0\.0\.1:1/")
_FORGED = re.compile(r"^2024-01-01 00:00:00 ERROR forged", re.MULTILINE)
_LONG = re.compile(r"A{600}")


def dangers(text: str, *, markup: bool = True) -> list[str]:
    """What a text still has of these values that does something; without `markup` it is shown as it is, as in a log.

    It may have lines, but neither other control characters nor a line that a value has made.
    """
    found = [letter for letter in text if letter != "\n" and not letter.isprintable()]
    found += _FORGED.findall(text) + [long[:10] for long in _LONG.findall(text)]
    return found + _MARKUP.findall(text) if markup else found
