"""TOML: a declaration as its file, with comments. Whatever a name or a value holds is text there, and nothing else.

Here: writing. Not here: reading (`company.reading`), or what the comments say (`proposal`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import date
from enum import StrEnum

import msgspec

from churn_platform.company.declaration import Declaration
from churn_platform.shown import as_text

Place = tuple[str, ...]
"""Where something stands in a declaration, such as `("tables", "users", "fee")`; `()` is the file's beginning."""

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_COMMENT = 300
"""The most letters of a comment."""


def written(declaration: Declaration, comments: Mapping[Place, str]) -> str:
    """The file's text, without what is the default. A part's comment stands behind its first line."""
    return "\n".join(_lines(declaration, comments)) + "\n"


def _lines(declaration: Declaration, comments: Mapping[Place, str]) -> Iterator[str]:
    yield from (_comment(line) for line in comments.get((), "").splitlines())
    for part in ("company", "customer", "label", "money"):
        if said := list(_said(getattr(declaration, part))):
            yield from _part(part, said, comments.get((part,), ""))
        elif comment := comments.get((part,)):
            yield from ("", _comment(f"[{part}]: {comment}"))
    for name, table in declaration.tables.items():
        said = [(field, value) for field, value in _said(table) if field != "columns"]
        yield from _part(f"tables.{key(name)}", said, comments.get(("tables", name), ""))
        yield from ("", f"[tables.{key(name)}.columns]")
        for column, declared in table.columns.items():
            fields = sorted(_said(declared), key=lambda field: field[0] == "meaning")
            inside = ", ".join(f"{field} = {value(found)}" for field, found in fields)
            line = f"{key(column)} = {{ {inside} }}"
            comment = comments.get(("tables", name, column), "")
            yield f"{line}  {_comment(comment)}" if comment else line


def _part(name: str, said: list[tuple[str, object]], comment: str) -> Iterator[str]:
    yield ""
    if comment:
        yield from (_comment(line) for line in comment.splitlines())
    yield f"[{name}]"
    yield from (f"{field} = {value(found)}" for field, found in said)


def _said(part: msgspec.Struct) -> Iterator[tuple[str, object]]:
    """What is not as the type has it anyway."""
    for field in msgspec.structs.fields(part):
        found = getattr(part, field.name)
        if field.required or found != field.default:
            yield field.name, found


def key(name: str) -> str:
    """A name on the left."""
    return name if _BARE.fullmatch(name) else text(name)


def value(found: object) -> str:
    """A value on the right."""
    if isinstance(found, bool):
        return str(found).lower()
    if isinstance(found, tuple):
        return f"[{', '.join(map(value, found))}]"
    if isinstance(found, int | float | date) and not isinstance(found, StrEnum):
        return str(found)
    return text(str(found))


def text(found: str) -> str:
    """A basic string."""
    return f'"{"".join(map(_letter, found))}"'


def _letter(letter: str) -> str:
    if letter in '"\\':
        return f"\\{letter}"
    if letter.isprintable():
        return letter
    code = ord(letter)
    return f"\\u{code:04X}" if code < 0x10000 else f"\\U{code:08X}"


def _comment(line: str) -> str:
    return f"# {as_text(line, _COMMENT)}"
