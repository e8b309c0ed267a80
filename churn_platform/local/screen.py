"""The screen of `churn up`: what is up, where to find it, and what is happening.

Here: what stays at the bottom of a terminal, what happens above it, and plain lines elsewhere. Not here: what is shown
(`programs`, `supervision`, `following`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from threading import Event, Lock, Thread

from rich.columns import Columns
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.rule import Rule
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from churn_platform.local.supervision import ProgramState, Running
from churn_platform.shown import as_lines, as_text

ROOM = 8
"""How many rows are kept for what happens; where the terminal is too low for that, the links are left out."""

_REFRESH_SECONDS = 1 / 8

_COLOURS = {ProgramState.UP: "green", ProgramState.SILENT: "yellow", ProgramState.DEAD: "red"}
_MOVING = (ProgramState.STARTING, ProgramState.SILENT, ProgramState.DEAD)


@dataclass(frozen=True)
class Link:
    """Something that a person may open, and what it is for."""

    name: str
    place: str
    meaning: str


class Screen:
    """Shows links, programs and events.

    Events are printed one below the other, as any program prints, so that the newest is always seen, a long one is
    whole, and the terminal keeps them all. Links and programs stay below them.
    """

    def __init__(self, links: list[Link], console: Console | None = None) -> None:
        self._console = console or Console()
        self._links = links
        self._running: Mapping[str, Running] = {}
        self._spinner = Spinner("dots")
        self._lock = Lock()
        self.notice = ""
        """What a person should keep in mind, shown as long as it is set."""

    def tell(self, text: str) -> None:
        """Show an event with its time."""
        time, text = f"{datetime.now():%H:%M:%S}", as_lines(text)
        if self._console.is_terminal:
            with self._lock:
                self._console.print(_beside([(Text(time, style="dim"), Text(text, overflow="fold"))]))
        else:
            self._console.print(f"{time}  {text}", markup=False, highlight=False, soft_wrap=True)

    @contextmanager
    def shown(self, running: Mapping[str, Running]) -> Iterator[None]:
        """Keep the screen up to date with these programs' states while the block runs."""
        self._running = running
        if not self._console.is_terminal:
            for link in self._links:
                self._console.print(f"{link.name}: {link.place}", markup=False, highlight=False, soft_wrap=True)
            yield
            return
        live, over = Live(get_renderable=self._draw, console=self._console, auto_refresh=False), Event()
        thread = Thread(target=self._refresh, args=(live, over), daemon=True)
        with self._lock:
            live.start(refresh=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
            with self._lock:
                live.stop()

    def _refresh(self, live: Live, over: Event) -> None:
        """Draw it anew until it is over; not with Rich's own thread, which would draw while an event is printed.

        Rich moves the cursor up by the height that it drew last. Where two threads draw at once, and one of them draws
        more lines, the other writes over an event.
        """
        while not over.wait(_REFRESH_SECONDS):
            with self._lock:
                live.refresh()

    def _draw(self) -> RenderableType:
        rule = Rule("churn platform: Ctrl-C stops everything", style="dim")
        notice = [Text(as_text(self.notice), style="yellow")] if self.notice else []
        whole = Group(rule, self._places(), *notice, self._states())
        for fitting in (whole, Group(rule, *notice, self._states())):
            if len(self._console.render_lines(fitting)) <= self._console.height - ROOM:
                return fitting
        up = sum(running.state in (ProgramState.UP, ProgramState.DONE) for running in self._running.values())
        return Text(f"{up} of {len(self._running)} programs are up")

    def _places(self) -> Table:
        return _beside(
            [
                (
                    Text(link.name, style="bold"),
                    Text.assemble((link.place, "cyan"), "  ", (link.meaning, "dim"), overflow="fold"),
                )
                for link in self._links
            ]
        )

    def _states(self) -> Columns:
        """Each program that is not done, as many on a line as there is room for."""
        found = []
        for name, running in self._running.items():
            if running.state is ProgramState.DONE:
                continue
            frame = self._spinner.render(self._console.get_time())
            mark = str(frame) if running.state in _MOVING else "●" if running.state is ProgramState.UP else "·"
            found.append(Text.assemble(f"{mark} {name} ", (str(running.state), _COLOURS.get(running.state, "dim"))))
        return Columns(found, padding=(0, 3))


def _beside(rows: list[tuple[Text, Text]]) -> Table:
    """Short texts with longer ones beside them, which go on below themselves."""
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table
