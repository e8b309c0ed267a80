"""The page of a model card: Markdown, which MLflow and the Dagster UI show, and which anybody can read as it is.

Here: its sections. Not here: gathering what they say (`known`), sentences about use and limits (`words`), how
Markdown is written (`markdown`), or what MLflow needs of it (`keeping`).

Whatever comes from a drop, a declaration or a person is made inert: a value that was shown as Markdown once rolled a
champion back.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from churn_platform.cards import delta, words
from churn_platform.cards.known import KnownVersion
from churn_platform.cards.markdown import around, figure, share, table, told
from churn_platform.champion.receipt_page import TOO_FEW, certainty
from churn_platform.champion.receipts import Receipt
from churn_platform.modelling.evaluation import Evaluation
from churn_platform.modelling.facts import Segment
from churn_platform.modelling.leaks import error_of
from churn_platform.modelling.metrics import approximate_auc_error
from churn_platform.monitoring.performance import Realised
from churn_platform.shown import counted, inert

MOST_GROUPS = 20
MOST_FEATURES = 40
MOST_RECEIPTS = 5

_METRICS = {
    "auc": "AUC",
    "average_precision": "average precision",
    "f1": "F1 at the threshold",
    "accuracy": "accuracy at the threshold",
    "brier": "Brier score, lower is better",
    "log_loss": "log loss, lower is better",
    "lift_at_10": "lift of the top 10 %",
}
"""What metrics are called here. `auc_error` is in the AUC's interval."""


class Section(NamedTuple):
    """A part of the page under its own title."""

    title: str
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        """Its Markdown."""
        return "\n".join((f"## {self.title}", "", *self.lines))


def sections(known: KnownVersion) -> list[Section]:
    """The card's parts, in order, without those that have nothing to say."""
    parts = (Section(title, tuple(lines(known))) for title, lines in _SECTIONS.items())
    return [part for part in parts if part.lines]


def page(known: KnownVersion, parts: Sequence[Section] | None = None) -> str:
    """The card: of its sections, or of these."""
    head = f"# Model card: version {known.version.number}, trained for {known.version.month}"
    return "\n\n".join((head, *(part.text for part in parts or sections(known)))) + "\n"


def _decision(known: KnownVersion) -> Iterator[str]:
    compared = known.evaluation
    if known.receipts:
        yield f"{words.service(known)}. Receipts about it, the newest first:"
        yield ""
        yield from (_receipt(receipt, known.version.number) for receipt in known.receipts[: -MOST_RECEIPTS - 1 : -1])
        if (more := len(known.receipts) - MOST_RECEIPTS) > 0:
            yield f"- and {more} earlier: `churn receipts`"
    elif compared:
        yield f"Nobody has decided yet. The gates say: {told(compared.decision)}"
    else:
        yield "It was not compared with a champion yet, and there is no receipt about it."
    if compared:
        yield ""
        yield from _gates(compared)


def _receipt(receipt: Receipt, number: int) -> str:
    ended = f"; version {number} served until then" if receipt.champion_before == number != receipt.champion else ""
    decided = f"{told(receipt.decided_at)}: {told(receipt.title)} by {told(receipt.decided_by)}"
    return f"- receipt {receipt.number}, {decided}{ended}. Reason: {told(receipt.reason)}"


def _gates(compared: Evaluation) -> Iterator[str]:
    passed = sum(gate.passed for gate in compared.gates)
    yield f"{passed} of {counted(len(compared.gates), 'gate')} passed{'.' if passed == len(compared.gates) else ':'}"
    if passed < len(compared.gates):
        yield ""
    for gate in compared.gates:
        if not gate.passed:
            yield f"- {told(gate.name)} {gate.outcome}: {told(gate.explanation)}"


def _figures(known: KnownVersion) -> Iterator[str]:
    compared, champion = known.evaluation, known.champion_then
    yield words.measured_on(known)
    yield ""
    heads = ("", f"version {known.version.number}", "95 % interval")
    yield from table(
        (*heads, f"version {champion.version}, then champion") if champion else heads,
        (
            (name, figure(value), _interval(known, metric), *([_of(champion.metrics, metric)] if champion else []))
            for metric, name in _METRICS.items()
            if (value := known.metrics.get(metric)) is not None
        ),
    )
    if compared:
        yield ""
        yield from (f"- {told(sentence)}" for sentence in certainty(compared))


def _of(metrics: dict[str, float], metric: str) -> str:
    return figure(metrics[metric]) if metric in metrics else ""


def _interval(known: KnownVersion, metric: str) -> str:
    """What holds the metric of all such customers in 95 % of cases; nothing where its error is not known."""
    value, compared = known.metrics[metric], known.evaluation
    if metric == "auc":
        error = known.metrics.get("auc_error")
        if error is None and compared:
            error = approximate_auc_error(value, compared.positives, compared.rows - compared.positives)
    else:
        error = None if isinstance(known.holdout, str) else known.holdout.errors.get(metric)
    return "" if error is None else around(value, error, metric != "log_loss")


def _groups(known: KnownVersion) -> Iterator[str]:
    groups = known.evaluation.segments if known.evaluation else ()
    if not groups:
        yield "Not compared within groups of customers."
        return
    champion = known.champion_then
    heads = ("group", "customers", "churned", "AUC", "95 % interval")
    rows = ((*_group(group), *([_other(group)] if champion else [])) for group in groups[:MOST_GROUPS])
    yield from table((*heads, f"version {champion.version}'s AUC") if champion else heads, rows)
    yield ""
    more = len(groups) - MOST_GROUPS
    rest = f" Its receipt has {counted(more, 'more group')}." if more > 0 else ""
    yield f"These intervals are an approximation from the AUC and the number of customers.{rest}"


def _group(group: Segment) -> tuple[str, ...]:
    name = f"{inert(group.column)}: {inert(group.value)}"
    sizes = (f"{group.rows:,}", f"{group.positives:,}")
    if group.auc is None:
        return (name, *sizes, TOO_FEW, "")
    error = approximate_auc_error(group.auc, group.positives, group.rows - group.positives)
    return (name, *sizes, figure(group.auc), around(group.auc, error))


def _other(group: Segment) -> str:
    return "" if group.champion_auc is None else figure(group.champion_auc)


def _calibration(known: KnownVersion) -> Iterator[str]:
    yield words.brier(known)
    yield ""
    if isinstance(known.holdout, str):
        yield f"How its probabilities compare with what happened is not known: {told(known.holdout)}."
        return
    yield from table(
        ("customers, by rising probability", "mean probability", "churned"),
        ((f"{tenth.customers:,}", share(tenth.predicted), share(tenth.realised)) for tenth in known.holdout.bins),
    )


def _later(known: KnownVersion) -> Iterator[str]:
    rows = [*map(_realised, known.later), *(row for compared in known.challenged for row in _challenged(compared))]
    heads = ("month", "", "customers", "AUC", "95 % interval", "expected before labels", "mean probability", "churned")
    if rows:
        yield from table(heads, sorted(rows, key=lambda row: row[0]))
        yield ""
    yield from (f"- {told(record.sentence)}" for record in known.rejected)
    if not rows and not known.rejected:
        yield "It has not been measured on a month after those that it learned from: that waits for their labels."


def _realised(found: Realised) -> tuple[str, ...]:
    auc, error = found.auc, found.metrics.get("auc_error")
    return (
        inert(found.expected.month),
        "served" if found.served else "did not serve",
        f"{found.expected.customers:,}",
        "" if auc is None else figure(auc),
        "" if auc is None or error is None else around(auc, error),
        found.expected.figure or "",
        share(sum(tenth.predicted * tenth.customers for tenth in found.bins) / sum(t.customers for t in found.bins)),
        share(found.churn_share),
    )


def _challenged(compared: Evaluation) -> Iterator[tuple[str, ...]]:
    if (champion := compared.champion) is not None:
        auc, churned = champion.metrics["auc"], compared.positives
        error = error_of(champion, compared.rows, churned)
        who = f"compared with version {compared.candidate.version}"
        sizes, interval = f"{compared.rows:,}", around(auc, error)
        yield (inert(compared.month), who, sizes, figure(auc), interval, "", "", share(churned / compared.rows))


def _data(known: KnownVersion) -> Iterator[str]:
    recipe, used = known.recipe, known.manifest.months
    if recipe is None:
        yield f"It learned from {', '.join(map(inert, used))}. {words.NO_RECIPE}"
    else:
        yield (
            f"It learned by {inert(recipe.estimator)} with seed {recipe.seed} from {counted(len(used), 'month')},"
            f" the window that ranked the newest month best of those of {', '.join(map(str, recipe.windows))} months:"
        )
        yield ""
        yield from table(
            ("month", "labelled customers", ""),
            (
                (inert(month), f"{source.rows:,}", "learned from" if month in used else "not in the window")
                for month, source in recipe.months.items()
            ),
        )


def _features(known: KnownVersion) -> Iterator[str]:
    yield words.counted_features(known.schema)
    yield ""
    names = [f"`{inert(feature.name)}`" for feature in known.schema[:MOST_FEATURES]]
    more = len(known.schema) - MOST_FEATURES
    yield f"They are {', '.join(names)}{f' and {more} more' if more > 0 else ''}."


def _proofs(known: KnownVersion) -> Iterator[str]:
    recipe, number = known.recipe, known.version.number
    yield f"- its bundle has the SHA-256 `{inert(known.version.bundle_sha256)}`"
    if recipe is None:
        yield f"- {words.NO_RECIPE} `churn retrain {known.version.month} --again` trains one that can be rebuilt."
    else:
        yield f"- its training rows are `{inert(recipe.training.sha256)}`, root `{inert(recipe.training.root)}`"
        yield f"- `churn rebuild {number}` trains it again from these and compares the two bit by bit"
    for receipt in [receipt for receipt in known.receipts if receipt.evaluation and receipt.version == number][-1:]:
        yield f"- `churn receipt {receipt.number}` shows its comparison in full, and with `--verify` computes it again"
    if recipe:
        libraries = ", ".join(f"{inert(name)} {inert(version)}" for name, version in recipe.libraries.items())
        yield f"- trained with {libraries}"


_SECTIONS = {
    "Purpose": words.purpose,
    "Decision": _decision,
    "Figures": _figures,
    "Limits": words.limits,
    "Groups of customers": _groups,
    "Calibration": _calibration,
    "Later months": _later,
    "Data": _data,
    "Features": _features,
    "What delta costs": delta.cost,
    "Rebuild and verify": _proofs,
}
