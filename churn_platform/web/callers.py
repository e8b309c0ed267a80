"""Callers: what a request says about who sent it.

Here: whether it comes from this machine, and the token that it shows. Not here: what that lets a caller do
(`admission`, `serving.access`), or making the token (`token`).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv6Address, ip_address

_FORWARDED = frozenset({
    b"forwarded", b"via", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-port", b"x-forwarded-proto",
    b"x-forwarded-server", b"x-real-ip", b"x-client-ip", b"x-cluster-client-ip", b"true-client-ip", b"cf-connecting-ip",
    b"fly-client-ip", b"fastly-client-ip",
})  # fmt: skip
"""Headers of proxies. Anybody can send them, so they only take away that a request is from here."""


def is_local(client: tuple[str, int] | None, headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether a request comes from this machine, and nobody passed it on. Names of headers are in small letters."""
    return client is not None and not any(name in _FORWARDED for name, _ in headers) and _is_loopback(client[0])


@lru_cache(maxsize=1024)  # serving asks for each prediction
def _is_loopback(text: str) -> bool:
    try:
        address = ip_address(text)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address).is_loopback


def token_of(authorization: str) -> bytes | None:
    """The token in an Authorization header, as `Bearer` or as the password of any user; None where there is none."""
    scheme, _, given = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return given.strip().encode("latin-1")
    if scheme.lower() != "basic":
        return None
    try:
        return base64.b64decode(given.strip(), validate=True).partition(b":")[2]
    except (binascii.Error, ValueError):
        return None
