"""Page: `docs/evidence.md`, from what was measured; run by itself, it prints it from the record (`make docs`).

Here: the questions in an order that tells, each group with a sentence, and how figures are written. Not here: the
figures (`rates`), or what is promised (`claims`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from benchmarks.evidence import asking
from benchmarks.evidence.claims import CLAIMS
from churn_platform.cards.evidence import RULES, EvidenceRecord, Finding, costs, kept


class QuestionGroup(NamedTuple):
    """Questions that belong together, and what a reader should know of them."""

    title: str
    told: str
    questions: tuple[str, ...]


GROUPS = (
    QuestionGroup(
        "Promotions",
        "A champion meets the candidate of the month after its own: in a quiet month, where there is hardly anything to"
        " gain, and in the month of a shock that changes who leaves. Lucky ones are 24 candidates for one month, none"
        " of which is better than the champion: each learned without a random fifth of its customers.",
        (
            "promoted in a quiet month",
            "promoted in a quiet month though truly no better",
            "promoted after a price rise",
            "promoted after a service outage",
            "promoted after a new plan",
            "a lucky one of 24 passes delta",
            "a lucky one of 24 is promoted",
        ),
    ),
    QuestionGroup(
        "Leaks",
        "Four quiet months of each world, in which nothing leaks, and a fifth in which a column is planted that"
        " carries the label: plainly, faintly, or by being filled for those who left (`churn audit`).",
        ("quiet month stopped as leaking", "plain leak stopped", "faint leak stopped", "gaps leak stopped"),
    ),
    QuestionGroup(
        "Drift",
        "A month's features are tested against the month before, when no label is known yet.",
        ("quiet month called shifted", "new plan found"),
    ),
    QuestionGroup(
        "Intervals",
        "How often a 95 % interval on a month's holdout customers holds the truth: what the version is worth for"
        " 50,000 customers of other companies, by their true hazard. Widths are in AUC.",
        (
            "the 95 % interval of an AUC holds the true AUC",
            "the 95 % interval of a difference of two AUCs holds the true one",
            "half the width of an AUC's interval",
            "half the width of a difference's interval",
        ),
    ),
    QuestionGroup(
        "Estimates before labels",
        "What the scores of a month promise, against what its labels then say. In the month of a price rise customers"
        " leave for new reasons, which no estimate can see; a month later the labels of the rise calibrate it. Errors"
        " are in AUC.",
        (
            "the AUC lies within the estimate's interval, quiet month",
            "the same without calibration",
            "the AUC lies within the estimate's interval, month of a price rise",
            "the AUC lies within the estimate's interval, month after it",
            "error of the estimate, quiet month",
            "error without calibration, quiet month",
            "error of the estimate, month of a price rise",
            "error of the estimate, month after it",
            "error without calibration, month after it",
        ),
    ),
    QuestionGroup(
        "The platform by itself",
        "Over 16 months with a price rise in the sixth and an outage in the eleventh, the platform trains when drift,"
        " the churn share or the realised AUC call for it, and every gate is asked. Beside it stands whoever trains a"
        " candidate each month and promotes by delta 0.01. Regret is in AUC: how far whoever serves is from the true"
        " hazard, on average over the months.",
        (
            "quiet month called for a retraining",
            "shock called for a retraining once its labels were there",
            "regret, the platform",
            "regret of the platform beyond that of a candidate each month",
            "a world in which its regret is at most that of a candidate each month plus 0.0005",
            "retrainings, the platform",
            "share of a candidate each month that the platform trains",
            "promotions, the platform",
        ),
    ),
)

_COSTS = (
    "A candidate is trained each month, and serves the next if it exceeds the champion by more than delta on the newest"
    " month with labels; those come a month late. *No gate* lets every candidate serve, *never again* none after the"
    " first, and *hindsight* whoever will rank the month best. Regret is in AUC, the mean of 15 months with a price"
    " rise and an outage; the difference is to the default, {default}, in the same worlds. A lower `CHURN_DELTA` gives"
    " fresher models for more changes of champion. Model cards show the table of the size that is nearest."
)


_NOTHING = (
    "# Evidence\n\nNothing has been measured yet by this code. `make evidence` measures in simulated companies how"
    " often the platform is right and what delta costs, in at most four hours on two cores, and writes this page.\n"
)


def written(record: EvidenceRecord | None) -> str:
    """The page in Markdown."""
    if record is None or not (sizes := sorted(record.worlds)):
        return _NOTHING
    parts = [_head(record), *(_group(record, group, sizes) for group in GROUPS)]
    parts.insert(-1, _delta(record, sizes))
    parts += [_others(record, sizes), _again(record)]
    return "\n".join(part for part in parts if part)


def _head(record: EvidenceRecord) -> str:
    worlds = ", ".join(f"{count} of {size:,} customers" for size, count in record.worlds.items())
    missing = sum(asking.WORLDS.values()) - sum(record.worlds.values())
    so_far = f" **The run has not come to its end: {missing} worlds are missing.**" if missing else ""
    return (
        "# Evidence\n\nHow often the platform is right, in simulated companies of which the truth is known:"
        f" {worlds}, each with a seed of its own.{so_far} A share is a count of trials with its exact 95 % interval"
        " (Clopper and Pearson); a mean over worlds has the 95 % interval of Student's t. Where something is promised,"
        " the promise stands in the last column, and `make evidence` fails where an interval excludes it.\n"
    )


def _group(record: EvidenceRecord, group: QuestionGroup, sizes: Sequence[int]) -> str:
    rows = [_row(record, question, sizes) for question in group.questions]
    return f"## {group.title}\n\n{group.told}\n\n{_table(sizes, [row for row in rows if row])}"


def _others(record: EvidenceRecord, sizes: Sequence[int]) -> str:
    """What no group has, so that nothing that was measured is left out."""
    shown = {question for group in GROUPS for question in group.questions}
    shown |= {
        f"{what}, {rule}" for what in ("regret", "regret beyond that of delta 0.01", "promotions") for rule in RULES
    }
    rest = dict.fromkeys(found.question for found in record.findings if found.question not in shown)
    rows = [_row(record, question, sizes) for question in rest]
    return f"## Others\n\n{_table(sizes, rows)}" if rows else ""


def _table(sizes: Sequence[int], rows: Sequence[Sequence[str]]) -> str:
    head = ("", *(f"{size:,} customers" for size in sizes), "all", "promised")
    return "".join(f"| {' | '.join(row)} |\n" for row in (head, ["---"] * len(head), *rows))


def _row(record: EvidenceRecord, question: str, sizes: Sequence[int]) -> list[str]:
    found = [record.found(question, size) for size in (*sizes, None)]
    return [question, *(_figure(one) if one else "" for one in found), _promise(question)] if any(found) else []


def _figure(found: Finding) -> str:
    if found.mean is None:
        return f"{found.hits} of {found.trials} ({found.low:.3f} to {found.high:.3f})"
    return f"{found.mean:.4f} ({found.low:.4f} to {found.high:.4f})"


def _promise(question: str) -> str:
    if (claim := CLAIMS.get(question)) is None:
        return ""
    if claim.least == claim.most:
        return "always"
    return f"at least {claim.least:.2f}" if claim.most == 1 else f"at most {claim.most:.3g}"


def _delta(record: EvidenceRecord, sizes: Sequence[int]) -> str:
    tables = "\n".join(_costs(record, size) for size in sizes)
    return f"## What delta costs\n\n{_COSTS.format(default=RULES[0])}\n\n{tables}"


def _costs(record: EvidenceRecord, customers: int) -> str:
    head = (f"{customers:,} customers", "regret", "beyond delta 0.01's", "promotions in 16 months")
    rows = [
        (
            cost.rule,
            _figure(cost.regret),
            _figure(cost.beyond) if cost.beyond and cost.rule != RULES[0] else "",
            f"{cost.promotions.mean:.1f}",
        )
        for cost in costs(record, customers)
    ]
    return "".join(f"| {' | '.join(row)} |\n" for row in (head, ["---"] * len(head), *rows))


def _again(record: EvidenceRecord) -> str:
    hours = sum(record.seconds.values()) / 3600
    each = ", ".join(
        f"{seconds / record.worlds[size]:,.0f} s for a world of {size:,}" for size, seconds in record.seconds.items()
    )
    return (
        f"## Again\n\nMeasured at commit {record.commit} by code `{record.code}` in {hours:.1f} hours of one core"
        f" ({each}). `make evidence` measures it again on two cores and writes this page; it goes on where it was cut"
        " off, and keeps answers in `.evidence` as long as no code changes that they depend on. `make evidence-quick`"
        " asks the same in two small worlds of seven months, in minutes.\n"
    )


if __name__ == "__main__":
    print(written(kept()), end="")
