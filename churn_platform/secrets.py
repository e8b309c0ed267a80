"""Secrets: what the settings hold that no text may show, wherever a library puts it.

Here: knowing them, and blanking them in a text. Not here: which settings are secret (`settings`), or the places where
texts of libraries come in (`faults`, `telling`, and `automation.dagster_private` for all that Dagster keeps).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from urllib.parse import quote, unquote

BLANK = "***"

_SHORTEST = 4
"""How many letters a secret has at least: every text is full of shorter ones."""

_known: set[str] = set()
_pattern: re.Pattern[str] | None = None


def keep(secrets: Iterable[str]) -> None:
    """Blank these too from now on, however a library writes them."""
    global _pattern
    for secret in secrets:
        plain = unquote(secret)
        written = {secret, plain, quote(plain, safe=""), repr(plain)[1:-1], json.dumps(plain)[1:-1]}
        _known.update(way for way in written if len(way) >= _SHORTEST)
    longest_first = sorted(_known, key=len, reverse=True)  # a URL before the password in it
    _pattern = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None


def blanked(text: str) -> str:
    """The text without secrets."""
    return _pattern.sub(BLANK, text) if _pattern is not None else text
