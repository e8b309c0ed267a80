"""Reports: the pages under `CHURN_HOME/reports`, which browsers do not open from the Dagster UI's links to files.

Here: which files of that folder are shown. Not here: what they hold, or what they may do in a browser (`edge`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from litestar import get
from litestar.handlers import HTTPRouteHandler
from litestar.params import Parameter
from litestar.response import File

from serving.problems import ProblemError


def route(folder: Path) -> HTTPRouteHandler:
    """The handler for a folder that need not be there yet."""

    @get("/reports/{path:path}", include_in_schema=False, sync_to_thread=True)
    def report(path: Annotated[Path, Parameter(description="The page, below the folder.")]) -> File:
        if (found := _inside(folder, path)) is None:
            raise ProblemError(404, "not_found", "There is no such report.")
        return File(found, filename=found.name, content_disposition_type="inline")

    return report


def _inside(folder: Path, path: Path) -> Path | None:
    """The file that is meant, or None: links may not lead out of the folder, and what is hidden is half written."""
    try:
        root = folder.resolve(strict=True)
        found = root.joinpath(str(path).lstrip("/")).resolve(strict=True)
        shown = found.is_file() and found.is_relative_to(root)
    except (OSError, ValueError, RuntimeError):  # no such file, a name that no file can have, a loop of links
        return None
    hidden = shown and any(part.startswith(".") for part in found.relative_to(root).parts)
    return found if shown and not hidden else None
