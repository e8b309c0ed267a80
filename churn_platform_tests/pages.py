"""Pages: what an HTML page may do, and what its reports hold, as tests ask.

Here: reading one without a browser. Not here: looking at one in a browser (`browser`).
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import zlib
from html.parser import HTMLParser
from typing import Any

_ATTRIBUTES = re.compile(r"on\w+|srcdoc|formaction|ping|background|poster")
_PLACES = ("href", "src", "action", "data", "xlink:href")
_TAGS = frozenset({"iframe", "object", "embed", "form", "base", "link", "applet", "frame", "frameset", "portal"})


class Page(HTMLParser):
    """A page's scripts and metas, and in `active` whatever else would run, load or lead away."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text
        self.scripts: list[str] = []
        self.metas: list[dict[str, str]] = []
        self.active: list[str] = []
        self._script: list[str] | None = None
        self.feed(text)

    @property
    def policy(self) -> str:
        """Its Content-Security-Policy, which has to stand before whatever it is to hold back."""
        [meta] = [meta for meta in self.metas if meta.get("http-equiv", "").lower() == "content-security-policy"]
        return meta["content"]

    @property
    def data(self) -> tuple[Any, dict[str, Any]]:
        """What a page of Evidently draws: the dashboard, and its graphs by id."""
        dashboard, graphs = json.loads(zlib.decompress(base64.b64decode(self.scripts[0])))
        return dashboard, graphs

    def runs(self, script: str) -> bool:
        """Whether its policy lets an inline script run."""
        return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'" in self.policy

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        icon = given == {"rel": "icon", "href": "data:,"}
        if tag == "meta":
            self.metas.append(given)
            if given.get("http-equiv", "").lower() not in ("", "content-security-policy", "content-type"):
                self.active.append(self.get_starttag_text() or tag)
        elif tag == "script":
            self._script = []
        outside = any(given.get(name, "").strip()[:1] not in ("", "#") for name in _PLACES)
        if not icon and (tag in _TAGS or outside or any(_ATTRIBUTES.fullmatch(name) for name in given)):
            self.active.append(self.get_starttag_text() or tag)

    def handle_endtag(self, tag: str) -> None:
        if tag == "script" and self._script is not None:
            self.scripts.append("".join(self._script))
            self._script = None

    def handle_data(self, data: str) -> None:
        if self._script is not None:
            self._script.append(data)
