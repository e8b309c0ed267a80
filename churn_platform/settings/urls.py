"""URLs: the kinds of settings that are URLs and may hold a password.

Here: what such a URL may be, the secrets in it, and what may be shown of it. Not here: the settings (`groups`), or
keeping secrets out of texts (`secrets`).

Every library reads a URL in its own way. Where one takes a part of a password for a host or a port, it shows that in
its messages. So a URL that any of them could take wrongly is refused when settings are read; the grammar is RFC 3986's,
which they all keep: whatever is no letter, digit or one of `- . _ ~ ! $ & ' ( ) * + , ; =` is percent-encoded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import IPv6Address
from typing import Annotated
from urllib.parse import parse_qsl, unquote

from pydantic import AfterValidator, SecretStr

_SQLITE = re.compile(r"sqlite:///.*[^/]", re.DOTALL)
_POSTGRES = re.compile(r"postgres(ql)?")
_DATABASE = re.compile(r"(postgresql|mysql|mssql)(\+[a-z0-9_]+)?")
_HTTP = re.compile(r"https?")

_PARTS = re.compile(r"([a-z0-9+_]+)://([^/?#]*)([^?#]*)(?:\?([^#]*))?(#.*)?", re.DOTALL | re.IGNORECASE)
_LETTERS = r"(?:[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})"
_CREDENTIALS = re.compile(rf"{_LETTERS}*(?::(?:{_LETTERS}|:)*)?")
_HOST = re.compile(r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]+))?")
_NAME = re.compile(r"/?[A-Za-z0-9._~-]*")
_PATH = re.compile(rf"(?:{_LETTERS}|[/:])*")
_OPTIONS = re.compile(r"(?:[A-Za-z0-9._~!$&'(),;=:/-]|%[0-9A-Fa-f]{2})*")

_ENCODE = (
    "in its user and password, write whatever is no letter or digit percent-encoded, such as @ as %40, / as %2F, ? as"
    " %3F, # as %23, % as %25 and a blank as %20"
)
_WORDS = 8
"""From how many letters on a part of an alert's URL is taken for a token."""


def secrets_of(url: str) -> Iterator[str]:
    """What of a URL no text may show: the URL, where it has a password, and the password.

    A password that is the same as the user or the database is none: those are shown, and every message would be blank.
    """
    found = _PARTS.fullmatch(url)
    if found is None:
        return
    user, _, password = found[2].rpartition("@")[0].partition(":")
    options = [value for name, value in parse_qsl(found[4] or "") if "pass" in name.lower()]
    shown = {unquote(user), unquote(found[3]).strip("/")}
    passwords = [word for word in (password, *options) if word and unquote(word) not in shown]
    if passwords:
        yield url
        yield from passwords


def secrets_of_alerts(urls: str) -> Iterator[str]:
    """The same for URLs of Apprise, in which anything but a host's name may be a token."""
    for url in urls.replace(",", " ").split():
        rest = url.partition("://")[2]
        yield from (url, rest)
        yield from (word for word in re.split(r"[/?&=@:#]", rest) if len(word) >= _WORDS and "." not in word)


def without_secrets(url: str) -> str:
    """What may be shown of a URL: no user, no password, no options."""
    found = _PARTS.fullmatch(url)
    if found is None or _SQLITE.fullmatch(url):
        return url
    return f"{found[1]}://{found[2].rpartition('@')[2]}{found[3]}"


def _take_apart(url: str, schemes: re.Pattern[str], example: str) -> tuple[str, str, str]:
    """The credentials, path and options of a URL whose scheme, credentials and host are sound. Raises ValueError."""
    scheme = url.partition("://")[0]
    if not schemes.fullmatch(scheme) or "://" not in url:
        raise ValueError(f"it has to be a URL such as {example}")
    if url.count("://") > 1:
        raise ValueError(f"it has to be a single URL, such as {example}")
    found = _PARTS.fullmatch(url)
    assert found is not None, "any text with such a scheme is taken apart"
    _, authority, path, options, fragment = found.groups(default="")
    credentials, _, host = authority.rpartition("@")
    if "@" in path + options + fragment or not _CREDENTIALS.fullmatch(credentials) or not _is_text(credentials):
        raise ValueError(_ENCODE)
    if not re.fullmatch(r"[!-~]*", url):
        raise ValueError(f"it has a blank, or a letter that is not ASCII: it has to be a URL such as {example}")
    if fragment:
        raise ValueError(f"it has a #: it has to be a URL such as {example}")
    if host:
        _refuse_host(host)
    elif not re.search(r"(^|&)host=[^&]", options):
        raise ValueError(f"it names no host: it has to be a URL such as {example}")
    return credentials, path, options


def _is_text(credentials: str) -> bool:
    try:
        return "\0" not in unquote(credentials, errors="strict")
    except UnicodeDecodeError:
        return False


def _refuse_host(host: str) -> None:
    named = _HOST.fullmatch(host)
    if named is None:
        raise ValueError(
            "after its host comes a port that is a number, such as host:5432; an IPv6 address stands in brackets, such"
            f" as [::1]:5432; and {_ENCODE}"
        )
    if named[2] is not None and not 0 < int(named[2]) < 65536:
        raise ValueError("its port has to be a number from 1 to 65535")
    if host.startswith("["):
        try:
            IPv6Address(named[1][1:-1])
        except ValueError:
            raise ValueError("its host is no IPv6 address: write one such as [::1]") from None


def _database(url: str, schemes: re.Pattern[str], example: str) -> None:
    _, path, options = _take_apart(url, schemes, example)
    if not _NAME.fullmatch(path):
        raise ValueError("its database has to be one name of letters, digits, - . _ and ~")
    if not _OPTIONS.fullmatch(options):
        raise ValueError("after its ? come options such as sslmode=require&connect_timeout=5, percent-encoded")


def _postgres(secret: SecretStr) -> SecretStr:
    if url := secret.get_secret_value():
        refuse_unreadable(url)
    return secret


def refuse_unreadable(url: str) -> None:
    """Raise ValueError for a URL of PostgreSQL that psycopg, libpq or SQLAlchemy would not read as it was meant."""
    _database(url, _POSTGRES, "postgresql://user:password@host:5432/database")
    from psycopg import ProgrammingError
    from psycopg.conninfo import conninfo_to_dict

    try:
        conninfo_to_dict(url)
    except (ProgrammingError, UnicodeDecodeError):
        readable = False
    else:
        readable = True
    if not readable:  # outside, so that the library's error, which may show a part of it, is not this one's context
        raise ValueError("after its ? is an option that PostgreSQL does not have, or one without a value")


def _online(secret: SecretStr) -> SecretStr:
    return secret if _SQLITE.fullmatch(secret.get_secret_value()) else _postgres(secret)


def _mlflow(secret: SecretStr) -> SecretStr:
    url = secret.get_secret_value()
    if url and not _SQLITE.fullmatch(url):
        if _DATABASE.fullmatch(url.partition("://")[0]):
            _database(url, _DATABASE, "postgresql://user:password@host:5432/database")
        else:
            _credentials(url, "http://host:5000, postgresql://user:password@host:5432/database or sqlite:///path")
    return secret


def _http(secret: SecretStr) -> SecretStr:
    if url := secret.get_secret_value():
        _credentials(url)
    return secret


def _public(url: str) -> str:
    if url and _credentials(url):
        raise ValueError("everybody sees it: it may hold no user and password")
    return url


def _credentials(url: str, example: str = "https://host:3000") -> str:
    """Those of a sound HTTP URL. Raises ValueError."""
    credentials, path, options = _take_apart(url, _HTTP, example)
    if options or not _PATH.fullmatch(path):
        raise ValueError("after its host comes a path at most, percent-encoded")
    return credentials


def _alerts(secret: SecretStr) -> SecretStr:
    for url in re.split(r"[\s,]+", secret.get_secret_value().strip(" ,")):
        found = _PARTS.fullmatch(url)
        if url and (found is None or found[2].count("@") > 1 or not url.isprintable()):
            raise ValueError(
                "it has to be URLs of Apprise, separated by blanks or commas, each with a service's name in front, such"
                f" as json://host/path; {_ENCODE}, and a comma as %2C"
            )
    return secret


PostgresUrl = Annotated[SecretStr, AfterValidator(_postgres)]
OnlineStoreUrl = Annotated[SecretStr, AfterValidator(_online)]
MlflowUri = Annotated[SecretStr, AfterValidator(_mlflow)]
HttpUrl = Annotated[SecretStr, AfterValidator(_http)]
PublicUrl = Annotated[str, AfterValidator(_public)]
AlertUrls = Annotated[SecretStr, AfterValidator(_alerts)]
