"""Leaving: who churned, where that is seen from the months themselves: who is a customer no longer.

Here: the labels of a month by the customers of the months after it, and what they follow from. Not here: labels that a
drop delivers (`intake.landing`), or when either count (`maturity`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from churn_platform.files import sha256
from churn_platform.intake import deliveries
from churn_platform.intake.landing import nothing_quarantined
from churn_platform.intake.meaning import meaning
from churn_platform.lake import Lake, Written
from churn_platform.months import Month
from churn_platform.tables.names import FEATURES, SEEN, landed, quarantine

if TYPE_CHECKING:
    import ibis


def content(lake: Lake, month: Month) -> str | None:
    """What the month's labels follow from, as a hash; None until the last month that they need is closed."""
    if not all(lake.has(*source) for source in sources(lake, month)):
        return None
    hashes = [lake.sha256(*source) for source in sources(lake, month) if source[0] != FEATURES]
    return sha256(" ".join([lake.contract.key, lake.contract.label, *hashes]).encode())


def sources(lake: Lake, month: Month) -> list[tuple[str, Month]]:
    """The tables that have to be there before the month's labels are known."""
    after = _after(lake, month)
    closed = [(FEATURES, later) for later in after]
    return [(landed(lake.contract.customers.name), month), *(_seen(lake, later) for later in after), *closed]


def take_in(lake: Lake, month: Month, content: str) -> Written:
    """Land the month's labels: a customer has churned whom none of the months after has seen."""
    import ibis

    contract = lake.contract
    key, labels = contract.key, contract.labels
    rows = lake.read(landed(contract.customers.name), month).select(key)
    seen = ibis.union(*parts) if len(parts := [_keys(lake, later) for later in _after(lake, month)]) > 1 else parts[0]
    table = rows.mutate(**{contract.label: rows[key].notin(seen[key])}).order_by(key)
    files = {landed(labels.name): table, quarantine(labels.name): nothing_quarantined()}
    with lake.replacing(month, files) as written:
        deliveries.forget(lake, month, deliveries.LATER)
    deliveries.take(lake, month, deliveries.LATER, content, (labels.name,), [], meaning(contract, (labels,)))
    return written[landed(labels.name)]


def _after(lake: Lake, month: Month) -> list[Month]:
    """The months that say who has left."""
    assert lake.contract.leaves is not None
    return [month + later for later in range(1, lake.contract.leaves + 1)]


def _seen(lake: Lake, month: Month) -> tuple[str, Month]:
    """The table with everybody whom a month's drop has a row of, broken or not: a slip in a value is no farewell."""
    return (SEEN if lake.has(SEEN, month) else landed(lake.contract.customers.name), month)


def _keys(lake: Lake, month: Month) -> ibis.Table:
    return lake.read(*_seen(lake, month)).select(lake.contract.key)
