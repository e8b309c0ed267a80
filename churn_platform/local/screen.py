"""The screen of `churn up`: what is up, where to find it, and what is happening.

Here: drawing one screen that stays on a terminal, and plain lines elsewhere. Not here: what is drawn
(`programs`, `supervision`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import datetime

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.panel import Panel
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from churn_platform.local.supervision import ProgramState, Running

KEPT = 12
"""How many of the last events the screen shows."""

_COLOURS = {
    ProgramState.UP: "green",
    ProgramState.DONE: "green",
    ProgramState.SILENT: "yellow",
    ProgramState.DEAD: "red",
}
_MOVING = (ProgramState.STARTING, ProgramState.SILENT, ProgramState.DEAD)


@dataclass(frozen=True)
class Link:
    """Something that a person may open, and what it is for."""

    name: str
    place: str
    meaning: str


class Screen:
    """Shows links, programs and events."""

    def __init__(self, links: list[Link], console: Console | None = None) -> None:
        self._console = console or Console()
        self._links = links
        self._events: deque[str] = deque(maxlen=KEPT)
        self._running: Mapping[str, Running] = {}
        self._spinner = Spinner("dots")
        self.notice = ""
        """What a person should keep in mind, shown as long as it is set."""

    def tell(self, text: str) -> None:
        """Show an event with its time."""
        event = f"{datetime.now():%H:%M:%S}  {text}"
        self._events.append(event)
        if not self._console.is_terminal:
            self._console.print(event, markup=False, highlight=False, soft_wrap=True)

    @contextmanager
    def shown(self, running: Mapping[str, Running]) -> Iterator[None]:
        """Keep the screen up to date with these programs' states while the block runs."""
        self._running = running
        if not self._console.is_terminal:
            for link in self._links:
                self._console.print(f"{link.name}: {link.place}", markup=False, highlight=False, soft_wrap=True)
        live = Live(get_renderable=self._draw, console=self._console, refresh_per_second=8)
        with live if self._console.is_terminal else nullcontext():
            yield

    def _draw(self) -> Panel:
        notice = [Text(), Text(self.notice, style="yellow")] if self.notice else []
        return Panel(
            Group(self._places(), *notice, Text(), self._states(), Text(), *(Text(event) for event in self._events)),
            title="churn platform",
            subtitle="Ctrl-C stops everything",
        )

    def _places(self) -> Table:
        table = Table.grid(padding=(0, 2))
        for link in self._links:
            table.add_row(f"[bold]{link.name}[/]", f"[cyan]{escape(link.place)}[/]", f"[dim]{link.meaning}[/]")
        return table

    def _states(self) -> Table:
        table = Table.grid(padding=(0, 2))
        for name, running in self._running.items():
            moving = running.state in _MOVING
            mark = self._spinner if moving else Text("●" if running.state is ProgramState.UP else "·")
            colour = _COLOURS.get(running.state, "dim")
            table.add_row(mark, name, f"[{colour}]{running.state}[/]")
        return table
