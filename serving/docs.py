"""The documentation page: a plain form for each route, made in the browser from the OpenAPI document.

Litestar's own pages load their scripts from the Internet, which a closed network does not have; this one is complete.
"""

from __future__ import annotations

import base64
import hashlib
import re
from importlib.resources import files
from typing import Any

from litestar import Request
from litestar.openapi.plugins import OpenAPIRenderPlugin

_PAGE = (files("serving") / "docs.html").read_bytes()


def _hashes(tag: bytes) -> bytes:
    """The inline scripts or styles of the page, as a policy names them."""
    found = re.findall(rb"<%b>(.*?)</%b>" % (tag, tag), _PAGE, re.DOTALL)
    return b" ".join(b"'sha256-%b'" % base64.b64encode(hashlib.sha256(text).digest()) for text in found)


DOCS_POLICY = (
    b"default-src 'none'; script-src %b; style-src %b; connect-src 'self'; img-src data:; base-uri 'none';"
    b" form-action 'none'; frame-ancestors 'none'"
) % (_hashes(b"script"), _hashes(b"style"))
"""What the page may do in a browser: run what it holds itself, and ask this service."""


class DocsPage(OpenAPIRenderPlugin):
    """Serves `docs.html`, which asks for the OpenAPI document beside it."""

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        """The page."""
        return _PAGE
