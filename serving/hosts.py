"""Hosts: by which names serving may be asked.

Here: which names those are, and whether a request has one of them. Not here: the answer to others (`edge`).

A page anywhere can have the browser that shows it ask this machine under a name of the page's own, and read the answer
(DNS rebinding). The Host header then holds that name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import urlsplit

from churn_platform.settings import Settings
from churn_platform.settings.access import LOOPBACK_NAMES

_ANY_ADDRESS = ("0.0.0.0", "::")  # noqa: S104  # nothing is bound here
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[^:\[\]]*)(:\d{1,5})?")
_REMEMBERED = 64


class Hosts:
    """The names of one service, in lower case and without ports."""

    def __init__(self, names: Iterable[str]) -> None:
        self.names = frozenset(name.lower() for name in names)
        self._seen: set[bytes] = set()  # headers that were found right: asking again costs no parsing

    def know(self, headers: Iterable[tuple[bytes, bytes]]) -> bool:
        """Whether each Host header names this service. Without one no browser has asked."""
        return all(value in self._seen or self._knows(value) for name, value in headers if name == b"host")

    def know_page(self, headers: Iterable[tuple[bytes, bytes]]) -> bool:
        """Whether a request comes from no page, from one of this service's own, or from one of the names given to it.

        A browser names the page's origin in every request that may change something.
        """
        named = {name: value.decode("latin-1").lower() for name, value in headers if name in (b"origin", b"host")}
        if b"origin" not in named:
            return True
        try:
            page = urlsplit(named[b"origin"])
        except ValueError:  # such as `http://[`, which no browser sends
            return False
        return page.netloc == named.get(b"host") or page.hostname in self.names - LOOPBACK_NAMES

    def _knows(self, value: bytes) -> bool:
        found = _HOST.fullmatch(value.decode("latin-1").lower())
        known = found is not None and found[1].removesuffix(".") in self.names
        if known and len(self._seen) < _REMEMBERED:
            self._seen.add(value)
        return known


def hosts_of(settings: Settings) -> Hosts:
    """The names of this machine, and those that the settings give."""
    own = settings.serving_host
    address = [] if own in _ANY_ADDRESS else [f"[{own}]" if ":" in own else own]
    public = urlsplit(settings.public_serving_url).hostname
    named = [f"[{public}]" if ":" in public else public] if public else []
    return Hosts([*settings.host_names, *address, *named])
