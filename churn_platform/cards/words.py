"""Words: what a model card says in sentences: what the version is for, what it was measured on, what it cannot do.

Here: the sentences. Not here: figures and tables (`page`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from churn_platform.bundle import Feature, FeatureKind
from churn_platform.cards.known import KnownVersion
from churn_platform.cards.markdown import MOST, figure, share
from churn_platform.contracts import Contract
from churn_platform.modelling.cautions import MIN_PER_CLASS
from churn_platform.shown import counted, inert

NO_RECIPE = "An earlier version of the platform trained it and did not keep from what: it cannot be rebuilt."

_KINDS: dict[FeatureKind, tuple[str, str]] = {
    "number": ("number", "numbers"),
    "boolean": ("yes or no", "yes or no"),
    "category": ("category", "categories"),
}
"""Each kind of feature, of which there is one or are several."""


def purpose(known: KnownVersion) -> Iterator[str]:
    """What it is for, as its company declares it."""
    contract, label = known.contract, known.recipe.label if known.recipe else known.contract.label
    meaning = next((column.meaning for column in contract.labels.columns if column.name == label), "")
    said = f', declared as "{inert(meaning.rstrip("."), MOST)}"' if meaning else ""
    yield (
        f"It gives each active customer of **{inert(contract.declaration.company.name)}** the probability of churning"
        f" after a month's end. Who churned is told by `{inert(label)}`{said}. {_horizon(contract)}"
    )
    if involuntary := contract.declaration.label.involuntary:
        values = ", ".join(inert(value) for value in involuntary.values)
        yield f"Customers without a choice (`{inert(involuntary.column)}`: {values}) are left out of it."
    yield ""
    yield (
        "It is for ranking customers: whom to contact first, and what is at stake. It is not for decisions about a"
        " customer's price, contract, credit or access."
    )


def _horizon(contract: Contract) -> str:
    label = contract.declaration.label
    if contract.leaves:
        return f"A customer has churned if none of the next {counted(contract.leaves, 'month')} has them."
    if label.horizon_days:
        return f"That is known {counted(label.horizon_days, 'day')} after the month's end."
    return "That counts from the month's end."


def service(known: KnownVersion) -> str:
    """Whether it serves, or did."""
    number = known.version.number
    made = [receipt for receipt in known.receipts if receipt.champion == number != receipt.champion_before]
    ended = [receipt for receipt in known.receipts if receipt.champion_before == number != receipt.champion]
    if not made and not ended:
        return "It was never champion"
    if made and (not ended or ended[-1].number < made[-1].number):
        return f"It has been champion since {inert(made[-1].decided_at)}"
    return f"It was champion until {inert(ended[-1].decided_at)}"


def measured_on(known: KnownVersion) -> str:
    """Which customers its figures are about, and what that leaves out."""
    compared, recipe = known.evaluation, known.recipe
    if compared:
        churned = f"{compared.positives:,} of whom churned ({share(compared.positives / compared.rows)})"
        month, who = compared.month, f"On {counted(compared.rows, 'holdout customer')} of {compared.month}, {churned}."
    else:
        month = str(known.version.month)
        rows = counted(recipe.holdout.rows, "holdout customer") if recipe else "the holdout customers"
        who = f"On {rows} of {month}."
    same = (
        f" It learned from other customers of {inert(month)}, so a change from month to month is not in these figures."
        if month in known.manifest.months
        else ""
    )
    threshold = f"A customer counts as churning from a probability of {known.manifest.threshold:.3f} on."
    return f"{who} No version has learned from a holdout customer.{same} {threshold}"


def brier(known: KnownVersion) -> str:
    """The Brier score beside that of saying the same of everyone."""
    compared, score = known.evaluation, known.metrics.get("brier")
    if score is None:
        return "Its Brier score is not known."
    if compared is None:
        return f"Its Brier score is {figure(score)}."
    churned = compared.positives / compared.rows
    return (
        f"Its Brier score is {figure(score)}; giving everyone the same probability, {share(churned)}, would have"
        f" {figure(churned * (1 - churned))}."
    )


def counted_features(schema: Sequence[Feature]) -> str:
    """How many features it knows, of which kinds."""
    kinds = Counter(feature.kind for feature in schema)
    each = ", ".join(f"{number} {_KINDS[kind][number != 1]}" for kind, number in kinds.items())
    return f"It knows {counted(len(schema), 'feature')}: {each}."


def limits(known: KnownVersion) -> Iterator[str]:
    """What it cannot do, and what is not known of it."""
    schema = known.schema
    months = ", ".join(map(inert, known.manifest.months))
    yield f"- It supposes that churn follows the pattern of {months}. What has changed since, it cannot know."
    yield "- Its reasons explain the model, not the world: changing a value need not change what a customer does."
    yield "- It says who may leave, not whom an offer would keep: nobody has measured that with it."
    if unknown := sum(feature.nullable for feature in schema):
        features = counted(len(schema), "feature")
        yield f"- {unknown} of its {features} may be unknown for a customer, whom it scores all the same."
    if any(feature.open for feature in schema):
        yield "- A category that it has not learned is unknown to it."
    few = [group for group in (known.evaluation.segments if known.evaluation else ()) if group.auc is None]
    if few:
        names = ", ".join(f"{inert(group.column)} {inert(group.value)}" for group in few[:10])
        more = f" and {len(few) - 10} more" if len(few) > 10 else ""
        yield f"- Nobody knows how well it ranks {names}{more}: fewer than {MIN_PER_CLASS} of them churned or stayed."
    if known.recipe is None:
        yield f"- {NO_RECIPE}"
