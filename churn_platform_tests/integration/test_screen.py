"""The screen of `churn up`: nothing is cut, the newest event is seen, and what happens is told whoever did it."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from churn_platform.automation import news
from churn_platform.automation.alerts import Alert
from churn_platform.local import following
from churn_platform_tests import homes
from churn_platform_tests.conftest import Platform
from churn_platform_tests.terminal import Terminal

EVENTS = (
    *(f"event number {number}" for number in range(20)),
    "2024-03 stops and nothing is kept: payments_agg_90d.csv: table payments_agg_90d lacks column user_id, and has "
    "column customer instead: correct its header, and close the month again",
    "Version 4 is promoted: 0.8412 > 0.8101 + 0.01: version 4 wins by 0.0311 (95 % interval 0.0040 to 0.0530)",
)
SHOWN = """
import sys, time
from pathlib import Path
from churn_platform.local.programs import links
from churn_platform.local.screen import Screen
from churn_platform.local.supervision import Program, ProgramState, Running
from churn_platform.settings import Settings

screen = Screen(links(Settings(home=Path("/srv/streaming/churn-platform/.churn"))))
names = ("storage", "code-server", "dagster-webserver", "registry", "mlflow", "serving", "dagster-daemon")
running = {name: Running(Program(name, []), ProgramState.UP) for name in names}
running["storage"].state = running["registry"].state = ProgramState.DONE
with screen.shown(running):
    screen.notice = "promotions and retrainings are paused since 2026-11-27 by somebody: an incident"
    for event in sys.argv[1:]:
        screen.tell(event)
        time.sleep(0.02)
    sys.stdin.read(1)
"""


def words(lines: list[str]) -> str:
    return " ".join(" ".join(lines).split())


@pytest.mark.parametrize(("columns", "rows"), [(80, 24), (60, 24), (60, 12), (40, 5)])
def test_nothing_is_cut_and_the_newest_event_is_seen(columns: int, rows: int) -> None:
    terminal = Terminal([sys.executable, "-c", SHOWN, *EVENTS], {}, columns, rows)
    terminal.until(lambda: EVENTS[-1] in words(terminal.screen.seen) and "up" in terminal.screen.seen[-1])
    everything, seen = words(terminal.screen.lines), words(terminal.screen.seen)
    told = re.sub(r"\d\d:\d\d:\d\d ", "", everything)
    assert " ".join(EVENTS) in told  # each once, whole, in order, and in no word's middle a line's end
    if rows == 24:
        for whole in (
            "http://127.0.0.1:5000/#/models/streamflow_churn versions, metrics, champion",
            "/srv/streaming/churn-platform/.churn/api_token what /retrain and /generate ask for",
            "promotions and retrainings are paused since 2026-11-27 by somebody: an incident",
            "Ctrl-C stops everything",
        ):
            assert whole in seen
        assert all(f"● {name} up" in seen for name in ("code-server", "dagster-webserver", "mlflow", "dagster-daemon"))
        assert "storage" not in seen
    terminal.process.kill()
    terminal.end()


def test_what_happens_is_told_whoever_did_it(
    trained: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform, looks, told = trained.copy(tmp_path), [0], list[str]()
    before = platform.home.registry.champion()
    assert before is not None
    happening = news.happening

    def counted(*asked: object) -> Iterator[Iterator[news.Happening]]:
        yield from happening(*asked)  # type: ignore[arg-type]
        looks[0] += 1

    monkeypatch.setattr(news, "happening", counted)
    payments = platform.settings.drops / "month_002" / "payments_agg_90d.csv"
    sound = payments.read_text()

    def act() -> None:
        assert platform.churn("promote", "3", "--reason", "the newest data").exit_code == 0
        assert platform.churn("rollback", "--reason", "complaints").exit_code == 0
        payments.write_text(sound.replace("user_id", "customer", 1))
        assert platform.churn("close", "2024-03").exit_code == 1
        payments.write_text(sound)
        homes.put(payments, 17, "failed_payments_90d", "many")
        assert platform.churn("close", "2024-03").exit_code == 0

    async def until(condition: Callable[[], bool]) -> None:
        while not condition():
            await asyncio.sleep(0.01)

    async def follow() -> None:
        task = asyncio.create_task(following.happenings(platform.settings, {}, told.append, seconds=0.01))
        await asyncio.wait_for(until(lambda: looks[0] > 0), 60)
        await asyncio.to_thread(act)
        now = looks[0]
        await asyncio.wait_for(until(lambda: looks[0] > now + 1), 60)
        task.cancel()

    asyncio.run(follow())
    appointed, back, stopped, closing = told
    closed, aside, where, everything = closing.splitlines()
    assert appointed == "Version 3 appointed: the newest data"
    assert back == f"Rolled back from version 3 to version {before.number}: complaints"
    assert stopped.startswith("2024-03 stopped: payments_agg_90d.csv: table payments_agg_90d lacks column user_id")
    assert re.fullmatch(r"2024-03 closed: \d+ active customers, labels landed", closed)
    assert aside == "2024-03: 1 row in quarantine from payments_agg_90d"
    assert where == "    line 17, column failed_payments_90d: 'many' is not a whole number"
    assert everything.startswith("all rows of 2024-03 in quarantine: ")


@pytest.mark.parametrize(
    ("title", "body", "told"),
    [
        ("Version 4 promoted", "version 4 is promoted: 0.9 > 0.8\nDecided by x.", "Version 4 is promoted: 0.9 > 0.8"),
        ("Version 4 appointed", "the newest data\nDecided by x.", "Version 4 appointed: the newest data"),
        ("Version 4 not promoted", "version 40 is odd", "Version 4 not promoted: version 40 is odd"),
        ("2024-03 stopped", "2024-03 stops: no rows\nhttp://x", "2024-03 stops: no rows"),
        ("Retraining for 2024-03 started", "by hand\nhttp://x", "Retraining for 2024-03 started: by hand"),
        ("Version 4 appointed", "\x1b[2Jgone", r"Version 4 appointed: \x1b[2Jgone"),
    ],
)
def test_an_alert_is_one_line(title: str, body: str, told: str) -> None:
    assert news.in_a_line(Alert("event", title, body)) == told
