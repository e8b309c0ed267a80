"""Reading: a declaration's file as its types, or every fault in it at once.

Here: parsing, what is not as the types say, and whether the file has changed since. Not here: what a declaration may
say (`declaration`), or what its parts have to agree on (`checking`).
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from enum import EnumMeta
from functools import cache
from importlib import resources
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, NamedTuple, get_args, get_origin

import msgspec
from msgspec.structs import FieldInfo

from churn_platform.company.checking import disagreements
from churn_platform.company.declaration import Declaration, DeclarationError
from churn_platform.files import sha256
from churn_platform.shown import inert

_SHIPPED = "streamflow.toml"


@cache
def shipped() -> Declaration:
    """StreamFlow's declaration, which comes with the platform; a test reads it as any other file."""
    return _typed(shipped_text(), _SHIPPED)


def shipped_text() -> str:
    """StreamFlow's declaration as it is written."""
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
        text = content.decode("utf-8-sig")  # Windows' editors begin a file with a byte-order mark
    except UnicodeDecodeError as error:
        raise DeclarationError(f"{file} is not UTF-8, as TOML has to be: {error.reason}") from error
    _READ[file] = sha256(content)
    return shipped() if text == shipped_text() else parse(text, file.name)


_READ: dict[Path, str] = {}
"""The SHA-256 of what this process has last read of each file."""


def as_read(file: Path | None) -> str:
    """The SHA-256 of what this process has last read of a declaration's file; empty where it has read none."""
    return _READ.get(file, "") if file else ""


class Edit(NamedTuple):
    """A declaration's file is not what the platform was started with: a sentence, and what tells this from other edits.

    A file that is changed, put back and changed again in the same way was edited twice.
    """

    sentence: str
    mark: str


def edited(file: Path | None, started: str) -> Edit | None:
    """How a declaration's file was changed under the platform that was started with content of this SHA-256.

    Where `started` is empty, it was started with what this process has read.
    """
    if file is None or not (before := started or as_read(file)):
        return None
    try:
        now, changed = sha256(file.read_bytes()), file.lstat().st_ctime_ns
    except OSError as error:
        now, changed = str(error.strerror), 0
    if now == before:
        return None
    return Edit(
        f"{file} (CHURN_COMPANY) has changed since the platform was started: start it again", f"{now} {changed}"
    )


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
    except RecursionError as error:
        raise DeclarationError(f"{name} cannot be read: brackets in it are nested too deeply") from error
    except ValueError as error:  # Python reads no numbers as long as that
        raise DeclarationError(f"{name} cannot be read: a number in it has too many digits") from error
    if faults := list(slips(found)):
        raise DeclarationError(f"{name}: {'; '.join(faults)}")
    return msgspec.convert(found, Declaration)


def json_schema() -> str:
    """The JSON Schema of declarations, by which editors complete and check them."""
    schema = msgspec.json.schema(Declaration)
    return msgspec.json.format(msgspec.json.encode(schema), indent=1).decode() + "\n"


def slips(said: object, kind: Any = Declaration, place: str = "") -> Iterator[str]:
    """What is not as the types say, part by part, each with its place: msgspec alone would stop at the first.

    It finds just what the JSON Schema would, in words for who writes the file; serving reads declarations too, and does
    without a validator of schemas.
    """
    kinds = [one for one in get_args(kind) if one is not type(None)] if get_origin(kind) is UnionType else [kind]
    kind = next((one for one in kinds if _is_table(one)), kind)
    listed = get_args(kind)[0] if get_origin(kind) is Annotated else kind
    if isinstance(said, list) and said and get_origin(listed) is tuple:
        for number, part in enumerate(said, 1):
            yield from slips(part, get_args(listed)[0], f"{place}, value {number}")
    elif not isinstance(said, dict) or not _is_table(kind):
        yield from _slip(said, kind, place)
    elif get_origin(kind) is dict:
        name_kind, part_kind = get_args(kind)
        for name, part in said.items():
            yield from _slip(name, name_kind, _within(place, name))
            yield from slips(part, part_kind, _within(place, name))
    else:
        fields = _fields(kind)
        for name in sorted(said.keys() - fields.keys()):
            yield f"{_within(place, name)} is unknown: {_or(fields)} may be there"
        for name, field in fields.items():
            if name in said:
                yield from slips(said[name], field.type, _within(place, name))
            elif field.required:
                yield f"{_within(place, name)} is missing"


@cache  # msgspec evaluates a type's annotations each time
def _fields(kind: type[msgspec.Struct]) -> Mapping[str, FieldInfo]:
    return {field.name: field for field in msgspec.structs.fields(kind)}


def _is_table(kind: Any) -> bool:
    """Whether this is a table of the file."""
    return get_origin(kind) is dict or (isinstance(kind, type) and issubclass(kind, msgspec.Struct))


def _slip(said: object, kind: Any, place: str) -> Iterator[str]:
    try:
        msgspec.convert(said, kind)
    except msgspec.ValidationError as error:
        able = list(kind) if isinstance(kind, EnumMeta) else get_args(kind) if get_origin(kind) is Literal else ()
        yield f"{place}: {error}{f': {_or(map(repr, map(str, able)))} may be there' if able else ''}"


def _within(place: str, name: str) -> str:
    return f"{place}.{inert(name)}" if place else inert(name)


def _or(names: Iterable[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} or {last}" if others else last
