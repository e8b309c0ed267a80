"""Reading: a declaration's file as its types, or every fault in it at once.

Here: parsing, and what is not as the types say. Not here: what a declaration may say (`declaration`), or what its parts
have to agree on (`checking`).
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, get_args, get_origin

import msgspec

from churn_platform.company.checking import disagreements
from churn_platform.company.declaration import Declaration, DeclarationError
from churn_platform.shown import inert

_SHIPPED = "streamflow.toml"


@cache
def shipped() -> Declaration:
    """StreamFlow's declaration, which comes with the platform; a test reads it as any other file."""
    return _typed(_shipped_text(), _SHIPPED)


def _shipped_text() -> str:
    return resources.files("churn_platform.company").joinpath(_SHIPPED).read_text()


def read(file: Path) -> Declaration:
    """The declaration that a file holds; `shipped()` itself for a copy of what is shipped. Raises DeclarationError.

    Its formulas are not checked yet: `checking.formulas` does that, where there is an engine for them.
    """
    try:
        content = file.read_bytes()
    except OSError as error:
        raise DeclarationError(
            f"{file} cannot be read ({error.strerror}): CHURN_COMPANY has to name a company's declaration"
        ) from error
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise DeclarationError(f"{file} is not UTF-8, as TOML has to be: {error.reason}") from error
    _READ[file] = content
    return shipped() if text == _shipped_text() else parse(text, file.name)


_READ: dict[Path, bytes] = {}
"""What this process has last read of each file."""


def edited(file: Path | None) -> str | None:
    """A sentence where a declaration's file is not what this process has read; programs that run long go on by that."""
    if file is None or file not in _READ:
        return None
    try:
        same = file.read_bytes() == _READ[file]
    except OSError:
        same = False
    return None if same else f"{file} (CHURN_COMPANY) has changed since this was started: start `churn up` again"


def parse(text: str, name: str) -> Declaration:
    """The declaration that this text is; `name` is its file's. Raises DeclarationError."""
    declaration = _typed(text, name)
    if faults := list(disagreements(declaration)):
        raise DeclarationError(f"{name}: {'; '.join(faults)}")
    return declaration


def _typed(text: str, name: str) -> Declaration:
    try:
        found = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise DeclarationError(f"{name} is not TOML: {error}") from error
    if faults := list(_slips(found, Declaration)):
        raise DeclarationError(f"{name}: {'; '.join(faults)}")
    return msgspec.convert(found, Declaration)


def json_schema() -> str:
    """The JSON Schema of declarations, by which editors complete and check them."""
    schema = msgspec.json.schema(Declaration)
    return msgspec.json.format(msgspec.json.encode(schema), indent=1).decode() + "\n"


def _slips(said: object, kind: Any, place: str = "") -> Iterator[str]:
    """What is not as the types say, part by part: msgspec alone would stop at the first."""
    if not isinstance(said, dict):
        yield from _slip(said, kind, place)
    elif get_origin(kind) is dict:
        name_kind, part_kind = get_args(kind)
        for name, part in said.items():
            yield from _slip(name, name_kind, _within(place, name))
            yield from _slips(part, part_kind, _within(place, name))
    elif isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        fields = {field.name: field for field in msgspec.structs.fields(kind)}
        for name in sorted(said.keys() - fields.keys()):
            yield f"{_within(place, name)} is unknown: {_or(fields)} may be there"
        for name, field in fields.items():
            if name in said:
                yield from _slips(said[name], field.type, _within(place, name))
            elif field.required:
                yield f"{_within(place, name)} is missing"
    else:
        yield from _slip(said, kind, place)


def _slip(said: object, kind: Any, place: str) -> Iterator[str]:
    try:
        msgspec.convert(said, kind)
    except msgspec.ValidationError as error:
        yield f"{place}: {error}"


def _within(place: str, name: str) -> str:
    return f"{place}.{inert(name)}" if place else inert(name)


def _or(names: Iterable[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} or {last}" if others else last
