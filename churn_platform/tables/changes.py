"""Changes: why customers' risk is another one than last month, from the lake's features of both months.

Here: whose risk can be compared, and with which version's score. Not here: how a change is shared between customer and
model (`reasons.change`), fetching versions (`champion.earlier`), or where changes are delivered (`delivery`).
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from churn_platform.bundle import Bundle, misfits
from churn_platform.lake import Lake
from churn_platform.months import Month
from churn_platform.reasons.change import Seen, change
from churn_platform.tables.names import FEATURES
from churn_platform.tables.scoring import kinds, taken

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("risk_change", "risk_change_customer", "risk_change_model")
"""The change of a customer's log-odds since last month, and its two parts, as they are delivered."""

PLACES = 6
"""Their decimal places."""


def obstacle(lake: Lake, month: Month, bundles: Collection[Bundle]) -> str | None:
    """Why the month's risks cannot be compared with last month's by these versions; None where they can."""
    for each in (month, month - 1):
        if not lake.has(FEATURES, each):
            return f"{each} is not closed"
        for bundle in bundles:
            if any(misfits(bundle.schema, kinds(lake, each, (feature.name for feature in bundle.schema)))):
                return f"the version trained for {bundle.manifest.month} cannot score {each}: their features differ"
    return None


def since_last_month(lake: Lake, month: Month, old: Bundle, new: Bundle, customers: Collection[str]) -> pd.DataFrame:
    """COLUMNS of those of the customers who were active in both months, by key; `old` scored last month, `new` this.

    Raises what `scoring.taken` raises; where `obstacle` finds none, nothing.
    """
    import pandas as pd

    then, encoded_then = taken(lake, month - 1, (old, new), customers)
    now, encoded_now = taken(lake, month, (old, new), customers)
    key = lake.contract.key  # in its order, as all that is taken
    was, stayed = then[key].isin(now[key]).to_numpy(), now[key].isin(then[key]).to_numpy()
    old_seen, new_seen = (
        Seen(bundle, before[was], rows[stayed])
        for bundle, before, rows in zip((old, new), encoded_then, encoded_now, strict=True)
    )
    found = change(old_seen, new_seen)
    customer, model = found.customer.round(PLACES), found.model.round(PLACES)
    parts = ((customer + model).round(PLACES), customer, model)  # so that what is delivered adds up, too
    return pd.DataFrame(dict(zip(COLUMNS, parts, strict=True)), index=now[key][stayed])
