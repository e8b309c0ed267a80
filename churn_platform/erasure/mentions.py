"""Mentions: where a text names one of some customers, and the text without that.

Here: ids that are told from other words by themselves, and the two kinds together. Not here: how an id is written
(`forms`), the places where a number or a few letters are an id (`quoted`), or which texts there are.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from functools import cached_property

from churn_platform.erasure.forms import any_of, forms, is_common
from churn_platform.erasure.quoted import Quoted

ERASED = "erased"
"""What stands where a customer was named."""

Span = tuple[int, int]

_ENDED_ESCAPE = re.compile(
    r"(?:\\[abfnrtv0]|\\x[0-9a-f]{2}|\\u[0-9a-f]{4}|\\U[0-9a-f]{8}|%[0-9a-f]{2}|\x1b\[[0-9;]{0,5}m)\Z", re.IGNORECASE
)
"""An escape of one character, or a terminal's colour, which ends in a letter or digit and yet begins no word."""

_LONGEST_ESCAPE = 10
_ESCAPE = re.compile(r"\\*(?:u[0-9a-fA-F]{4}|[\"/bfnrt])")
"""What may go on with an escape of JSON after a backslash."""


class Mentions:
    """The mentions of some customers, in any of the forms in which the platform shows an id.

    A mention is no part of a longer word or id. `key` is the column of the customers' ids: one that is a plain number,
    or has fewer than six characters, is taken for a mention only where the platform shows a value of that column, or
    quotes one.
    """

    def __init__(self, customers: Collection[str], key: str) -> None:
        named = set(customers) - {""}
        common = {customer for customer in named if is_common(customer)}
        self._written = {form for customer in named - common for form in forms(customer)}
        self._quoted = Quoted({form for customer in common for form in forms(customer)}, key)

    def found(self, text: str) -> bool:
        """Whether the text mentions one of them."""
        return next(self._named(text), None) is not None or next(self._quoted.spans(text), None) is not None

    def without(self, text: str) -> str:
        """The text with the word `erased` for each mention. JSON stays JSON."""
        text = _replaced(text, self._named(text))
        return _replaced(text, self._quoted.spans(text))

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
    def _bytes(self) -> re.Pattern[bytes] | None:
        written = {form.encode(errors="surrogatepass").decode("latin-1") for form in self._written}
        return re.compile(any_of(written).encode("latin-1")) if written else None

    def _named(self, text: str) -> Iterator[Span]:
        """The mentions by ids that are told by themselves."""
        at = 0
        while self._words is not None and (match := self._words.search(text, at)) is not None:
            at = match.start() + 1
            if (start := _beginning(text, match.start())) is not None:
                at = match.end()
                yield start, start + len(text[start:at].rstrip("\\"))  # which may begin an escape, or be one


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
