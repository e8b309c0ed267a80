"""Looking: the commands that change nothing.

Here: `status` and `predict`, and what they print. Not here: what is known (`monitoring.status`), scores (`serving`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click

from churn_platform.faults import Fault, placing
from churn_platform.months import Month
from churn_platform.saying import say_json
from churn_platform.settings import begin
from churn_platform.shown import MOST, as_text

if TYPE_CHECKING:
    from churn_platform.home import Home
    from churn_platform.monitoring.status import Stopped


@click.command()
@click.argument("customer")
@click.option("--reasons", is_flag=True, help="Say why, feature by feature, and what has changed since last month.")
def predict(customer: str, reasons: bool) -> None:
    """Ask the running API for the risk of one customer.

    With --reasons, each reason is in log-odds; they add up with base_log_odds to log_odds. Where since_last_month is
    null, no_change_since_last_month says why.
    """
    import httpx

    from churn_platform.home import Home
    from churn_platform.web.token import api_token

    settings = begin()
    home = Home(settings)
    url = f"{settings.serving_api}/{'explain' if reasons else 'predict'}"
    headers = {}
    if urlsplit(url).hostname not in ("127.0.0.1", "localhost", "::1"):  # to an address of the network, all are afar
        headers["Authorization"] = f"Bearer {settings.read_token.get_secret_value() or api_token(settings)}"
    try:
        answer = httpx.post(url, json={home.contract.key: customer}, headers=headers, timeout=10)
    except httpx.TransportError as error:
        raise click.ClickException(f"nothing answers at {url}: start it with `churn serve` or `churn up`") from error
    try:
        told = answer.json()
        refusal = told["detail"] if answer.is_error else None
        asked = None if answer.is_error or not reasons else _asked(told, home.contract.key)
    except (ValueError, LookupError, TypeError) as error:
        raise click.ClickException(f"what answers at {url} is not serving: {as_text(answer.text, MOST)}") from error
    if refusal is not None:
        raise click.ClickException(as_text(refusal))
    if asked is not None:
        told |= _since_last_month(home, *asked)
    say_json(told)


def _asked(told: dict[str, Any], key: str) -> tuple[Month, int, str]:
    """The month, the version and the customer that an answer is about."""
    return Month.parse(told["as_of"][:7]), int(told["model_version"]), str(told[key])


def _since_last_month(home: Home, month: Month, version: int, customer: str) -> dict[str, Any]:
    """What has changed, or why it is not known: whatever fails here, what serving has answered is worth showing."""
    from churn_platform.champion.earlier import change_of

    try:
        with placing():
            found = change_of(home.lake, home.registry, month, version, customer)
    except Fault as fault:
        found = str(fault)
    known = isinstance(found, dict)
    return {"since_last_month": found if known else None, "no_change_since_last_month": None if known else found}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
def status(as_json: bool) -> None:
    """Show the months, their candidates and the champion.

    Also what has stopped, and when the next month is due.
    """
    from datetime import date

    from churn_platform.automation import unsafe
    from churn_platform.home import Home
    from churn_platform.monitoring.screen import show
    from churn_platform.monitoring.status import read

    home = Home(begin())
    found = read(home, date.today(), *_stopped(home), unsafe=unsafe.told(home))
    if as_json:
        say_json(found)
    else:
        show(found)


def _stopped(home: Home) -> tuple[tuple[Stopped, ...], str | None]:
    """The months that have stopped; where the runs or drops cannot be read, why."""
    from churn_platform.automation.instance import answering, open_instance
    from churn_platform.automation.watch import stopped

    settings = home.settings
    if not settings.dagster_home.exists() and not settings.postgres_url.get_secret_value():
        return (), None  # nothing has ever run
    try:
        with answering(settings), open_instance(settings) as instance:
            return stopped(home, instance), None
    except Fault as fault:
        return (), str(fault)
