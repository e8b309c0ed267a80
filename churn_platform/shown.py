"""Shown: how values appear in a message, whoever reads it and wherever.

Here: cutting one from outside and taking the meaning out of it; a number with its noun. Not here: the messages.

`inert` is for a value in a sentence, and for whatever a browser or Markdown shows. `as_text` is for a whole text that
is shown as it is: by a terminal, a log, or a page that escapes it.
"""

from __future__ import annotations

import re

MOST = 80
"""How many characters of a value are shown."""

MOST_OF_TEXT = 4000
"""How many characters of a whole text are."""

_MEANING = re.compile(r"[<>&*`\[\]|~\\@]|_(?![^\W_])|:(?=//)|(?<=[Ww]{3})\.")
"""What HTML or Markdown takes for more than text: tags, ends of emphasis, links, addresses, code, ends of cells."""


def inert(value: object, most: int = MOST) -> str:
    r"""The value's text, cut to a length, without control characters and without meaning in HTML and Markdown.

    What is taken out is written as Python writes it, such as `\x1b`, so that it can still be told and searched for.
    """
    text = str(value)
    cut = _MEANING.sub(lambda found: _escaped(found[0]), text[:most])
    return _ended("".join(letter if letter.isprintable() else _escaped(letter) for letter in cut), text, most)


def as_text(value: object, most: int = MOST_OF_TEXT) -> str:
    """The value's text on one line, cut to a length, without what a terminal would take for more than text."""
    text = str(value)
    if text.isprintable() and len(text) <= most:
        return text
    return _ended("".join(map(_on_a_line, text[:most])), text, most)


def as_lines(text: str, before: str = "") -> str:
    """The same of each line, with `before` before all but the first: so that none looks like the first of another."""
    return f"\n{before}".join(as_text(line) for line in text.split("\n"))


def counted(number: int, noun: str) -> str:
    """A number of things, such as `1 row` and `1,200 rows`; the noun is one whose plural takes an s."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _ended(shown: str, text: str, most: int) -> str:
    return shown if len(text) <= most else f"{shown}... ({len(text):,} characters)"


def _on_a_line(letter: str) -> str:
    return letter if letter.isprintable() else " " if letter.isspace() else _escaped(letter)


def _escaped(letter: str) -> str:
    code = ord(letter)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
