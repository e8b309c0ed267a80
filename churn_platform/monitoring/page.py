"""Page: an Evidently report as a page that shares Evidently's script with the others in its folder.

Here: taking Evidently's own page apart and writing it in two files. Not here: what is compared (`drift`).

Evidently's own page holds 3.6 MB that are the same in every one, and its data several times, as a script that a value
can leave (`</script>`). Here the data is packed and means nothing to a browser, which may run only the one script that
the page has and the library that this loads. Both files together need no network, and open from a disk too.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

from churn_platform.files import replacing, sha256

if TYPE_CHECKING:
    from evidently.core.report import Snapshot

_POLICY = (
    "default-src 'none'; script-src 'sha256-{}' 'strict-dynamic'; style-src 'unsafe-inline'; img-src data:;"
    " font-src data:; base-uri 'none'; form-action 'none'"
)
_VARIABLE = re.compile(r"var \w+ = ")


def write_page(report: Snapshot, title: str, path: Path) -> None:
    """Write the report's page, and Evidently's script beside it where that is not there yet."""
    name, library = _library()
    if not (place := path.with_name(name)).exists():
        with replacing(place) as temporary:
            temporary.write_text(library)
    loader = Template(_resource("page.js")).substitute(library=name)
    page = Template(_resource("page.html")).substitute(
        policy=_POLICY.format(base64.b64encode(hashlib.sha256(loader.encode()).digest()).decode()),
        title=title,
        data=base64.b64encode(zlib.compress(json.dumps(_data(report)).encode(), 9)).decode(),
        loader=loader,
    )
    with replacing(path) as temporary:
        temporary.write_text(page)


@contextmanager
def unstyled() -> Iterator[None]:
    """Have Plotly draw without its style, which the page adds.

    The style is Plotly's default template, 7 kB in each graph. Plotly and Evidently copy a graph several times.
    """
    from plotly.io import templates

    default, templates.default = templates.default, None
    try:
        yield
    finally:
        templates.default = default


@cache
def _style() -> Any:
    """What Plotly gives each graph."""
    from plotly.io import templates

    return templates[templates.default].to_plotly_json()


def _styled(graph: dict[str, Any]) -> dict[str, Any]:
    """A graph with Plotly's style, as if it had been drawn so."""
    drawing = graph["params"]
    return {**graph, "params": {**drawing, "layout": {"template": _style(), **drawing["layout"]}}}


def _data(report: Snapshot) -> tuple[Any, Any]:
    """What Evidently's page draws: the dashboard, and the graphs that its rows open, by id.

    Its page has them as the values of its first two variables; Evidently offers them nowhere else.
    """
    page, end, values = report.get_html_str(as_iframe=False), 0, []
    for _ in range(2):
        found = _VARIABLE.search(page, end)
        assert found is not None, "Evidently writes its pages in another way"
        value, end = json.JSONDecoder().raw_decode(page, found.end())
        values.append(value)
    dashboard, graphs = values
    return _without_graphs(dashboard), {name: _styled(graph) for name, graph in graphs.items()}


def _without_graphs(value: Any) -> Any:
    """A part of the dashboard without its copies of the graphs, which Evidently looks up by their ids."""
    if isinstance(value, dict):
        return {name: _without_graphs(part) for name, part in value.items() if name != "additionalGraphs"}
    return [_without_graphs(part) for part in value] if isinstance(value, list) else value


@cache
def _library() -> tuple[str, str]:
    """Evidently's script and its icons' font as one file: its name, which its content decides, and the content."""
    static = files("evidently.nbextension") / "static"
    font = base64.b64encode((static / "material-ui-icons.woff2").read_bytes()).decode()
    icons = f'document.fonts.add(new FontFace("Material Icons", "url(data:font/woff2;base64,{font})"));'
    text = f"var global = globalThis;\n{(static / 'index.js').read_text(encoding='utf-8')}\n{icons}\n"
    return f"evidently-{version('evidently')}-{sha256(text.encode())[:8]}.js", text


def _resource(name: str) -> str:
    return (files("churn_platform.monitoring") / name).read_text(encoding="utf-8")
