"""Delta: what CHURN_DELTA costs, so that whoever wants fresher models sets it knowingly.

Here: a card's section. Not here: what was measured (`evidence`), or the rule (`modelling.gate`).
"""

from __future__ import annotations

from collections.abc import Iterator

from churn_platform.cards import evidence
from churn_platform.cards.evidence import Finding
from churn_platform.cards.known import KnownVersion
from churn_platform.cards.markdown import figure, table

_HOLDOUT = 4
"""One of so many customers is a holdout customer."""


def cost(known: KnownVersion) -> Iterator[str]:
    """What other deltas cost in the simulated companies whose size is nearest; nothing where that is not known."""
    compared, record = known.evaluation, evidence.kept()
    if compared is None or record is None:
        return
    size = evidence.nearest(record, compared.rows * _HOLDOUT)
    if size is None:
        return
    yield (
        f"A candidate has to exceed the champion's AUC by more than delta, here {compared.delta:g} (`CHURN_DELTA`). So"
        f" much did rules cost {record.worlds[size]} simulated companies of {size:,} customers over {record.months}"
        " months with a price rise and an outage, a candidate each month and labels a month late. Regret is how far"
        " whoever served was from the best possible AUC, on average, with its 95 % interval; the difference is to that"
        f" of {evidence.RULES[0]}."
    )
    yield ""
    yield from table(
        ("rule", "regret", "95 % interval", "difference", "95 % interval", "promotions"),
        (
            (
                found.rule,
                *_mean(found.regret),
                *(_mean(found.beyond) if found.beyond and found.rule != evidence.RULES[0] else ("", "")),
                f"{found.promotions.mean or 0:.1f}",
            )
            for found in evidence.costs(record, size)
        ),
    )


def _mean(found: Finding) -> tuple[str, str]:
    return figure(found.mean or 0), f"{figure(found.low)} to {figure(found.high)}"
