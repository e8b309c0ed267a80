"""Mentions: where a text names one of some customers, and the text without that.

Here: ids that are told from other words by themselves, and the two kinds together. Not here: how an id is written
(`forms`), the places where a number or a few letters are an id (`quoted`), or which texts there are.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterator
from functools import cached_property
from typing import TYPE_CHECKING

from churn_platform.erasure.forms import any_of, forms, is_common
from churn_platform.erasure.quoted import Quoted

if TYPE_CHECKING:
    from churn_platform.contracts import Contract

ERASED = "erased"
"""What stands where a customer was named."""

Span = tuple[int, int]

_ENDED_ESCAPE = re.compile(
    r"(?:\\[abfnrtv0]|\\x[0-9a-f]{2}|\\u[0-9a-f]{4}|\\U[0-9a-f]{8}|%[0-9a-f]{2}|\x1b\[[0-9;]{0,5}m)\Z", re.IGNORECASE
)
"""An escape of one character, or a terminal's colour, which ends in a letter or digit and yet begins no word."""

_LONGEST_ESCAPE = 10
_ENDS_STRING = re.compile(r'(?<!\\)"')
_ESCAPE = re.compile(r"\\*(?:u[0-9a-fA-F]{4}|[\"/bfnrt])")
"""What may go on with an escape of JSON after a backslash."""


class Mentions:
    """The mentions of some customers, in any of the forms in which the platform shows an id.

    A mention is no part of a longer word or id. `key` is the column of the customers' ids: one that is a number or a
    plain word, has fewer than six characters, or is among `names`, which mean something else to the platform, is taken
    for a mention only where the platform shows a value of that column, or quotes one.
    """

    def __init__(self, customers: Collection[str], key: str, names: Collection[str] = ()) -> None:
        wanted, names = set(customers) - {""}, {*names, key, "sha256"}
        common = {customer for customer in wanted if is_common(customer) or customer in names}
        self._written = {form for customer in wanted - common for form in forms(customer)}
        self._in_json = {form for form in self._written if not _ENDS_STRING.search(form)}
        quoted = {form for customer in common for form in forms(customer)}
        self._quoted = Quoted(quoted, key)
        # What begins or ends with one may be half of an escape in JSON, or in JSON within JSON.
        self._has_slashes = any("\\" in (form[0], form[-1]) for form in self._written | quoted)

    @classmethod
    def of(cls, contract: Contract, customers: Collection[str]) -> Mentions:
        """The mentions of a company's customers."""
        from churn_platform.tables.features import schema

        tables = {*contract.tables, *contract.snapshots.values()}
        names = {table.name for table in tables} | {column.name for table in tables for column in table.columns}
        names |= {*contract.snapshots, *(feature.name for feature in schema(contract))}
        return cls(customers, contract.key, names)

    def found(self, text: str) -> bool:
        """Whether the text mentions one of them."""
        if self._has_slashes:
            return self.without(text) != text
        return next(self._named(text), None) is not None or next(self._quoted.spans(text), None) is not None

    def without(self, text: str) -> str:
        """The text with the word `erased` for each mention. JSON stays JSON."""
        if self._has_slashes and _is_json(text):
            return self._without_in_json(text)
        named = _replaced(text, self._named(text))
        without = _replaced(named, self._quoted.spans(named))
        if without != text and not _is_json(without) and _is_json(text):  # an id has parts of JSON's own in it
            return self._without_in_json(text)
        return without

    def _without_in_json(self, text: str) -> str:
        value = json.loads(text)
        without = self._without(value)
        return text if without == value else json.dumps(without, ensure_ascii=text.isascii())

    def _without(self, value: object, name: str = "") -> object:
        """The same for each text in a value of JSON, which has this name."""
        if isinstance(value, dict):
            return {self.without(name): self._without(inner, name) for name, inner in value.items()}
        if isinstance(value, list):
            return [self._without(inner) for inner in value]
        if not isinstance(value, str):
            return value
        return ERASED if self._quoted.has(name, value) else self.without(value)

    def masked(self, data: bytes) -> bytes:
        """The same for bytes that keep their number: those of a mention become asterisks."""
        text = data.decode(errors="surrogateescape")
        masked = _replaced(text, self._named(text), _mask)
        masked = _replaced(masked, self._quoted.spans(masked), _mask)
        return data if masked == text else masked.encode(errors="surrogateescape")

    def in_bytes(self, data: bytes) -> bool:
        """Whether these bytes mention one of them, where they are UTF-8."""
        return self.found(data.decode(errors="surrogateescape"))

    def touched(self, data: bytes) -> bool:
        """Whether these bytes hold an id that is told by itself, inside of longer words too.

        In a database's file the values of a row touch each other, so that this finds what `in_bytes` may pass over.
        """
        return self._bytes is not None and self._bytes.search(data) is not None

    @cached_property
    def _words(self) -> re.Pattern[str] | None:
        return re.compile(rf"(?:{any_of(self._written)})(?![\w-])") if self._written else None

    @cached_property
    def _words_in_json(self) -> re.Pattern[str] | None:
        """Without those that would end a string: in JSON, a quote that is not escaped is no part of an id."""
        if self._in_json == self._written:
            return self._words
        return re.compile(rf"(?:{any_of(self._in_json)})(?![\w-])") if self._in_json else None

    @cached_property
    def _bytes(self) -> re.Pattern[bytes] | None:
        written = {form.encode(errors="surrogatepass").decode("latin-1") for form in self._written}
        return re.compile(any_of(written).encode("latin-1")) if written else None

    def _named(self, text: str) -> Iterator[Span]:
        """The mentions by ids that are told by themselves."""
        at = 0
        words = self._words if self._words is self._words_in_json or not _is_json(text) else self._words_in_json
        while words is not None and (match := words.search(text, at)) is not None:
            at = match.start() + 1
            if (start := _beginning(text, match.start())) is not None:
                at = match.end()
                yield start, start + len(text[start:at].rstrip("\\"))  # which may begin an escape, or be one


def _is_json(text: str) -> bool:
    """Whether it is an object or an array of JSON: a number or a text in quotes may be anything else too."""
    try:
        return isinstance(json.loads(text), dict | list)
    except (ValueError, RecursionError):
        return False


def _beginning(text: str, start: int) -> int | None:
    r"""Where to replace from what begins here; None where it is a part of a longer word.

    After a backslash the first letter may be an escape's, as in `\n12345`, in JSON or in JSON within JSON. It stays, so
    that both are still JSON.
    """
    before = text[max(0, start - _LONGEST_ESCAPE) : start]
    if before and (before[-1] in "-_" or before[-1].isalnum()) and not _ENDED_ESCAPE.search(before):
        return None
    if before.endswith("\\") and (escape := _ESCAPE.match(text, start)):
        return escape.end()
    return start


def _erased(_: str) -> str:
    return ERASED


def _mask(mention: str) -> str:
    return "*" * len(mention.encode(errors="surrogateescape"))


def _replaced(text: str, spans: Iterator[Span], by: Callable[[str], str] = _erased) -> str:
    parts, at = list[str](), 0
    for start, end in spans:
        parts += (text[at:start], by(text[start:end]))
        at = end
    return "".join((*parts, text[at:])) if parts else text
