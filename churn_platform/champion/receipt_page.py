"""The page of one receipt, as a person reads it: what was decided, on which rows, by which figures.

Here: its lines, some of which model cards share. Not here: whether any of that is true (`verifying`), or printing it
(`cli.proving`).
"""

from __future__ import annotations

from collections.abc import Iterator

from churn_platform.champion.receipts import Erasure, Receipt
from churn_platform.modelling.comparison import smallest_gain
from churn_platform.modelling.evaluation import Evaluation
from churn_platform.modelling.facts import Basis
from churn_platform.modelling.recipe import KeptRows
from churn_platform.shown import as_text, counted
from churn_platform.tables.names import HOLDOUT_ROWS, TRAINING_ROWS

TOO_FEW = "too few of a class"


def page(receipt: Receipt) -> Iterator[str]:
    """The lines; those that belong to a heading begin with blanks."""
    yield f"Receipt {receipt.number}: {receipt.title}"
    yield f"  decided {receipt.decided_at} by {receipt.who}"
    yield f"  reason: {receipt.why}"
    if receipt.dagster_run_id:
        yield f"  Dagster run {as_text(receipt.dagster_run_id)}"
    for told in receipt.despite:
        yield f"  at that time {told}"
    if receipt.version:
        yield f"  champion: {_named(receipt.champion_before)} before, {_named(receipt.champion)} after"
        yield f"  version {receipt.version}, trained for {receipt.month}, bundle {receipt.bundle_sha256}"
    if receipt.erasure is not None:
        yield from _erasure(receipt.erasure)
    if receipt.evaluation is not None:
        yield from _comparison(receipt.evaluation)


def _erasure(erased: Erasure) -> Iterator[str]:
    yield "Customers, by their keyed hashes"
    yield from (f"  {customer}" for customer in erased.customers)
    yield f"  {erased.found:,} of them in tables before"
    yield "Versions"
    yield f"  trained on them: {_numbers(erased.trained)}"
    yield f"  compared on them: {_numbers(erased.judged)}"
    yield f"  with their features, without keys, in the bundle: {_numbers(erased.shown)}"
    yield "Kept rows that were erased"
    yield from (f"  {counted(rows, 'row')} of {file}.parquet" for file, rows in erased.rows.items())


def _numbers(versions: tuple[int, ...]) -> str:
    return ", ".join(map(str, versions)) or "none"


def _comparison(compared: Evaluation) -> Iterator[str]:
    candidate, champion, basis = compared.candidate, compared.champion, compared.basis
    yield f"Compared on {compared.month}: {counted(compared.rows, 'holdout customer')}, {compared.positives:,} churned"
    if basis is None:
        yield "  the rows were not kept: an earlier version of the platform compared"
    else:
        yield f"  {_kept(HOLDOUT_ROWS, basis.holdout)}"
    for name, figure in candidate.metrics.items():
        other = f", version {champion.version} {champion.metrics[name]:.4f}" if champion else ""
        yield f"  {name}: version {candidate.version} {figure:.4f}{other}"
    yield from (f"  {sentence}" for sentence in certainty(compared))
    yield "Gates"
    for gate in compared.gates:
        yield f"  {gate.name} {gate.outcome}: {gate.explanation}"
    if compared.segments:
        yield "Groups"
    for group in compared.segments:
        figures = TOO_FEW if group.auc is None else f"AUC {group.auc:.4f}"
        other = "" if group.champion_auc is None else f", the champion's {group.champion_auc:.4f}"
        value = f"{as_text(group.column)} {as_text(group.value)}"
        yield f"  {value}: {counted(group.rows, 'customer')}, {group.positives:,} churned, {figures}{other}"
    if basis is not None:
        yield from _origin(basis)


def certainty(compared: Evaluation) -> Iterator[str]:
    """How sure it is that one of the two versions is better, a few words each."""
    candidate, champion = compared.candidate, compared.champion
    if compared.interval is not None and champion is not None:
        low, high = compared.interval
        gain = candidate.metrics["auc"] - champion.metrics["auc"]
        yield f"AUC difference {gain:+.4f}, 95 % interval {low:+.4f} to {high:+.4f}, delta {compared.delta:g}"
        least, rows = smallest_gain(compared.interval), counted(compared.rows, "customer")
        yield f"smallest gain that {rows} can show: {least:.4f} (in 80 % of cases, at 95 %)"
    looks = counted(compared.looks, "candidate") if compared.looks else "nobody counted how many candidates"
    yield f"looks: {looks} compared on {compared.month}"


def _origin(basis: Basis) -> Iterator[str]:
    for number, bundle in basis.bundles.items():
        yield f"Version {number}"
        yield f"  bundle {bundle}"
        if (recipe := basis.recipes.get(number)) is None:
            yield "  an earlier version of the platform trained it, which did not keep what from"
            continue
        yield f"  trained for {recipe.month}: {recipe.estimator}, seed {recipe.seed}"
        yield f"  {_kept(TRAINING_ROWS, recipe.training)}"
        for month, source in recipe.months.items():
            yield (
                f"  {month}: {counted(source.rows, 'row')}, features {source.features_sha256},"
                f" labels {source.labels_sha256}"
            )
    yield "Libraries"
    yield f"  {', '.join(f'{name} {version}' for name, version in basis.libraries.items())}"


def _kept(folder: str, rows: KeptRows) -> str:
    return f"{counted(rows.rows, 'row')} in {folder}/{rows.sha256}.parquet, root {rows.root}"


def _named(number: int | None) -> str:
    return "none" if number is None else f"version {number}"
