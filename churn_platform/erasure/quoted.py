"""Quoted: the places where the platform shows a customer's id, so that `7` is one there and a number elsewhere.

Here: values in quotes, cells of tables, and sentences about a customer. Not here: ids that are told by themselves
(`mentions`).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from churn_platform.erasure.forms import any_of
from churn_platform.shown import inert

Span = tuple[int, int]

_QUOTE = r"""(?P<quote>\\*["']|&#39;|&#x27;|&#34;|&quot;)"""
_VALUE_BEFORE = re.compile(r"[:,\[{]\s*\Z")
_STRUCTURE = re.compile(r"\A[\s:,\[\]{}]|[\s:,\[\]{}]\Z")
_VALUE_AFTER = re.compile(r"\s*[:,\]}]")
_NEAR = 300  # characters; a column's name has fewer

_SENTENCES = (
    r"No features for (?P<id>{}): ",
    r"the features of (?P<id>{}) cannot be stored",
    r"(?<![\w-])(?P<id>{}) has \d+ values for \d+ features",
    r"\)=\((?:[^()\n]*, )?(?P<id>{})\) already exists",  # PostgreSQL, of a key that stands twice
    r"<tr\b[^>]*>\s*<td\b[^>]*>\s*(?:<div\b[^>]*>\s*)?(?P<id>{})\s*<",  # a row's first cell, as in Data Docs
)
_RAGGED = r"'([^'\n]*)' ragged line"
"""A line that has too many or too few fields, as `landing` quotes it; the id is one of them."""

_HEADS = re.compile(r"(?P<line>\n|\\+n)\|(?P<heads>(?: --- \|)+)")
_SCRIPT = re.compile(r"<(script|style)\b.*?</\1\s*>", re.DOTALL | re.IGNORECASE)
_VALUE, _COLUMN = "value", "column"
"""The columns of the table of broken values, besides its others (`assets.landed`)."""


class Quoted:
    """The mentions of customers whose ids, written in these forms, are common in texts of all kinds."""

    def __init__(self, written: Collection[str], key: str) -> None:
        self._written = frozenset(written)
        ids = any_of(written)
        self._quotes = re.compile(rf"{_QUOTE}(?=(?P<id>{ids})(?P=quote))")
        self._sentences = [re.compile(sentence.format(ids)) for sentence in _SENTENCES]
        self._field = re.compile(rf"(?<![\w.-])(?:{ids})(?![\w.-])")
        self._keyed = re.compile(rf"""(?<![\w-]){re.escape(key)}\\*["']\s*:\s*\Z""")
        self._key, self._keys = key, {key, inert(key)}

    def spans(self, text: str) -> Iterator[Span]:
        """Where they are mentioned, in order."""
        if not self._written or not self._field.search(text):
            return
        found = {*self._in_quotes(text), *self._in_sentences(text), *self._in_ragged(text), *self._in_tables(text)}
        scripts = [match.span() for match in _SCRIPT.finditer(text)] if found else []
        last = 0
        for start, end in sorted(found):
            if start >= last and not any(first <= start < after for first, after in scripts):
                yield start, end
                last = end

    def has(self, name: str, value: str) -> bool:
        """Whether a value of this name is one of the customers' keys."""
        return name == self._key and value in self._written

    def _in_quotes(self, text: str) -> Iterator[Span]:
        for match in self._quotes.finditer(text):
            if not self._is_else(text, match):
                yield match.span("id")

    def _is_else(self, text: str, match: re.Match[str]) -> bool:
        """Whether a text in quotes is an attribute's value in HTML, or one of JSON that is not the key's."""
        quote = match["quote"]
        before = text[max(0, match.start() - _NEAR) : match.start()]
        after = _VALUE_AFTER.match(text, match.end("id") + len(quote))
        if before.endswith("="):
            return True
        if not quote.endswith('"'):
            return False
        is_between = _STRUCTURE.search(match["id"]) is not None  # of two strings of JSON
        is_value = after is not None and _VALUE_BEFORE.search(before) is not None
        return (is_between or is_value) and self._keyed.search(before) is None

    def _in_sentences(self, text: str) -> Iterator[Span]:
        for sentence in self._sentences:
            for match in sentence.finditer(text):
                yield match.span("id")

    def _in_ragged(self, text: str) -> Iterator[Span]:
        for match in re.finditer(_RAGGED, text):
            yield from self._fields(text, *match.span(1))

    def _fields(self, text: str, start: int, end: int) -> Iterator[Span]:
        for match in self._field.finditer(text, start, end):
            yield match.span()

    def _in_tables(self, text: str) -> Iterator[Span]:
        """Cells of Markdown tables: those of the key's column, and of broken values that the key's column had."""
        for rule in _HEADS.finditer(text):
            count = rule["heads"].count("---")
            heads = re.search(rf"\|((?:[^|\n]*\|){{{count}}})\Z", text[max(0, rule.start() - 20_000) : rule.start()])
            names = [name.strip() for name in heads[1].split("|")[:-1]] if heads else []
            if self._keys & set(names) or {_VALUE, _COLUMN} <= set(names):
                yield from self._in_rows(text, rule.end(), rule["line"], names)

    def _in_rows(self, text: str, at: int, line: str, names: list[str]) -> Iterator[Span]:
        row = re.compile(re.escape(line) + r"\|" + r"( (?:[^|\n]|(?<=\\)\|)*\|)" * len(names))
        while (match := row.match(text, at)) is not None:
            at = match.end()
            cells = {name: match.span(number) for number, name in enumerate(names, start=1)}
            if keys := self._keys & cells.keys():
                yield from self._cell(text, *cells[keys.pop()])
            elif (column := text[slice(*cells[_COLUMN])].strip(" |")) in self._keys:
                yield from self._cell(text, *cells[_VALUE])
            elif not column:
                yield from self._fields(text, *cells[_VALUE])

    def _cell(self, text: str, start: int, end: int) -> Iterator[Span]:
        shown = text[start:end].strip(" |")
        if shown in self._written:
            at = text.index(shown, start)
            yield at, at + len(shown)
