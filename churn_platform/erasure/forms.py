"""Forms: all the ways in which the platform, and the libraries that it uses, write a customer's id.

Here: an id's forms, and one expression for very many of them. Not here: where a form counts as a mention (`mentions`,
`quoted`).
"""

from __future__ import annotations

import html
import json
import os
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import groupby
from urllib.parse import quote, quote_plus

from churn_platform.shown import MOST, as_lines, as_text, inert

SHORTEST = 6
"""How many characters an id has at least that is told from other words wherever it stands."""

_NUMBER = re.compile(r"[-+]?[\d.,:/]+(?:[eE][-+]?\d+)?|\d{4}-\d\d(?:-\d\d)?")
_WORD = re.compile(r"[A-Za-z_][A-Za-z_./-]*")
_PLAIN = re.compile(r"[A-Za-z0-9_-]*")
_NESTED = 30  # groups within groups; `re` counts them, and Python's stack does


def is_common(customer: str) -> bool:
    """Whether a text may well hold these characters without meaning the customer.

    They are few, or a number or date, or a word as programs have them: who is called `metadata` or `2024-01` must not
    take Dagster's events apart.
    """
    return len(customer) < SHORTEST or any(kind.fullmatch(customer) for kind in (_NUMBER, _WORD))


def forms(customer: str) -> set[str]:
    """How an id is written: as it is, cut and inert, escaped for HTML, a URL or Python; in JSON, or JSON in JSON."""
    if _PLAIN.fullmatch(customer) and len(customer) <= MOST:
        return {customer}
    found = {customer, inert(customer), as_text(customer), as_lines(customer, "    "), " ".join(customer.split())}
    for text in tuple(found):
        escaped = html.escape(text)
        found |= {escaped, html.escape(text, quote=False), repr(text)[1:-1]}
        found.add(escaped.replace("&#x27;", "&#39;").replace("&quot;", "&#34;"))  # as Jinja writes them
        found |= {quote(text, errors="replace"), quote(text, "", errors="replace"), quote_plus(text, errors="replace")}
    for _ in range(2):
        found |= {json.dumps(text, ensure_ascii=ascii_)[1:-1] for text in tuple(found) for ascii_ in (True, False)}
    return {text for text in found if len(text) >= min(SHORTEST, len(customer))}


def any_of(words: Collection[str]) -> str:
    """An expression for these words, the longest first, which takes little more time for thousands than for one."""
    return "|".join(_branches(sorted(set(words) - {""}), 0))


def _branches(words: Sequence[str], depth: int) -> Iterator[str]:
    """One alternative for each first character of these words, which are in order, and none of them empty."""
    for _, group in groupby(words, key=lambda word: word[0]):
        alike = list(group)
        shared = os.path.commonprefix([alike[0], alike[-1]])  # noqa: RUF071  # characters, not folders
        rests = [word[len(shared) :] for word in alike]
        yield re.escape(shared) + _rest(rests, depth)


def _rest(rests: Sequence[str], depth: int) -> str:
    further = [rest for rest in rests if rest]
    if not further:
        return ""
    branches: Iterable[str] = _branches(further, depth + 1)
    if depth == _NESTED:
        branches = map(re.escape, sorted(further, key=len, reverse=True))
    return f"(?:{'|'.join(branches)}){'' if len(further) == len(rests) else '?'}"
