"""The documentation page: a plain form for each route, made in the browser from the OpenAPI document.

Litestar's own pages load their scripts from the Internet, which a closed network does not have; this one is complete.
"""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from litestar import Request
from litestar.openapi.plugins import OpenAPIRenderPlugin


class DocsPage(OpenAPIRenderPlugin):
    """Serves `docs.html`, which asks for the OpenAPI document beside it."""

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        """The page."""
        return (files("serving") / "docs.html").read_bytes()
