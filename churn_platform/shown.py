"""Shown: how values appear in a message, whoever reads it and wherever.

Here: cutting one from outside and taking the meaning out of it; a number with its noun. Not here: the messages.
"""

from __future__ import annotations

import re

MOST = 80
"""How many characters of a value are shown."""

_MEANING = re.compile(r"[<>&*`\[\]|~\\]|_(?![^\W_])|:(?=//)|(?<=www)\.")
"""What HTML or Markdown would take for more than text: tags, the ends of emphasis, links, code, ends of cells."""


def inert(value: object, most: int = MOST) -> str:
    r"""The value's text, cut to a length, without control characters and without meaning in HTML and Markdown.

    What is taken out is written as Python writes it, such as `\x1b`, so that it can still be told and searched for.
    """
    text = str(value)
    cut = _MEANING.sub(lambda found: _escaped(found[0]), text[:most])
    safe = "".join(letter if letter.isprintable() else _escaped(letter) for letter in cut)
    return safe if len(text) <= most else f"{safe}... ({len(text):,} characters)"


def counted(number: int, noun: str) -> str:
    """A number of things, such as `1 row` and `1,200 rows`; the noun is one whose plural takes an s."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _escaped(letter: str) -> str:
    code = ord(letter)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
