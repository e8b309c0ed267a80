"""Landed: how what has been landed of a table is reported to Dagster: its check, and its materialization.

Here: results and their metadata, whatever a table's rows come from. Not here: deciding what is landed (`landing`).
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import dagster as dg

from churn_platform.assets.metadata import Words, markdown_table, of_table
from churn_platform.contracts import Table
from churn_platform.home import Home
from churn_platform.intake import landing
from churn_platform.intake.oddities import Oddity
from churn_platform.lake import Written
from churn_platform.months import Month
from churn_platform.shown import counted
from churn_platform.tables.names import landed

CONTRACT = "keeps_the_contract"
SHOWN = 20


def asset_key(table: Table) -> dg.AssetKey:
    """A landed table's asset key, such as `landed/users`."""
    return dg.AssetKey(landed(table.name).split("/"))


def verdict(home: Home, month: Month, judged: landing.Judged, odd: Sequence[Oddity]) -> dg.AssetCheckResult:
    """Write the table's Data Docs page and report the judgement, and what is odd about the table as a whole."""
    page = _page(home, month, judged.table)
    judged.judgement.write_page(f"{judged.table.name} of {month}", page)
    stops = [*filter(None, [judged.fault]), *(oddity.sentence for oddity in odd if oddity.stops)]
    warnings = [oddity.sentence for oddity in odd if oddity.warns]
    sound = judged.total - judged.quarantined
    kept = f"{sound:,} of {counted(judged.total, 'row')} {'keeps' if sound == 1 else 'keep'} the contract."
    return dg.AssetCheckResult(
        passed=not stops and not warnings,
        asset_key=asset_key(judged.table),
        check_name=CONTRACT,
        severity=dg.AssetCheckSeverity.WARN if warnings and not stops else dg.AssetCheckSeverity.ERROR,
        description=" / ".join(stops or warnings) or kept,
        metadata={
            "expectations": judged.judgement.expectations,
            "rows": judged.total,
            "broken_rows": judged.quarantined,
            "broken_share": judged.quarantined / judged.total,
            "tolerance": home.settings.quarantine_tolerance,
            **{name: figure for oddity in odd for name, figure in oddity.figures.items()},
            "data_docs": dg.MetadataValue.url(home.settings.page_url(page)),
            **({"data_docs_sample": judged.judgement.sample} if judged.judgement.sample else {}),
            **_broken(judged),
        },
    )


def _page(home: Home, month: Month, table: Table) -> Path:
    return home.settings.data_docs / str(month) / f"{table.name}.html"


def _broken(judged: landing.Judged) -> dict[str, dg.MetadataValue]:
    """The first broken rows as a table; nothing where all are sound."""
    shown = [
        (f"{v.part}: {v.line}" if v.part else v.line, v.column, v.value, Words(v.rule))
        for v in judged.violations[:SHOWN]
    ]
    unit = landing.unit_of(judged.path.name)
    return {"broken": markdown_table((unit, "column", "value", "rule"), shown)} if shown else {}


def kept(home: Home, judged: landing.Judged, month: Month, written: Written) -> dg.MaterializeResult:
    """Report a table that was taken in."""
    return dg.MaterializeResult(
        asset_key=asset_key(judged.table),
        data_version=dg.DataVersion(written.sha256),
        metadata={
            **of_table(written),
            "quarantined_rows": judged.quarantined,
            **({"erased_rows": judged.erased} if judged.erased else {}),
            "file": str(judged.path),
            "data_docs": dg.MetadataValue.url(home.settings.page_url(_page(home, month, judged.table))),
            **_broken(judged),
        },
    )


def left_out(month: Month, table: Table, written: Written) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult]:
    """Report a table that the month's drop need not have, and has not."""
    bounds = " and ".join(f"{word} {end}" for word, end in (("since", table.since), ("until", table.until)) if end)
    why = f"{month} has no {table.name}, which is delivered {bounds}: it is unknown"
    key = asset_key(table)
    yield dg.AssetCheckResult(passed=True, asset_key=key, check_name=CONTRACT, description=f"{why}; nothing to judge.")
    yield dg.MaterializeResult(
        asset_key=key, data_version=dg.DataVersion(written.sha256), metadata={**of_table(written), "left_out": why}
    )
