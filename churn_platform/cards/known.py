"""Known: all that is on record about a version, gathered from wherever it is kept.

Here: the record, and gathering it. Not here: how it reads (`page`).
"""

from __future__ import annotations

from dataclasses import dataclass

from churn_platform.bundle import Bundle, Feature, Manifest, misfits
from churn_platform.champion.receipts import Receipt
from churn_platform.champion.recipes import recipe_of
from churn_platform.champion.registry import Version
from churn_platform.contracts import Contract
from churn_platform.faults import Fault
from churn_platform.home import Home
from churn_platform.lake import Lake
from churn_platform.modelling.evaluation import Evaluation
from churn_platform.modelling.facts import Contender
from churn_platform.modelling.recipe import KeptRows, Recipe
from churn_platform.monitoring.performance import Bin, Realised, calibration, measurable, of_version
from churn_platform.monitoring.rejected import Rejected
from churn_platform.shown import counted
from churn_platform.tables.kinds import kind_of
from churn_platform.tables.names import EVALUATION, HOLDOUT_ROWS, REJECTED


@dataclass(frozen=True)
class HoldoutFigures:
    """What a version's own figures do not hold, measured again on the same holdout customers.

    `errors` are standard errors by metric (`metrics.mean_errors`), `bins` are the calibration.
    """

    errors: dict[str, float]
    bins: tuple[Bin, ...]


@dataclass(frozen=True)
class KnownVersion:
    """What is known of a version; None or empty where nothing is.

    `evaluation` is its newest comparison with a champion, `receipts` are those about it, oldest first, and those that
    ended its service. `holdout` is what its holdout customers show, or a sentence that says why that is not known.
    `later` are the months after those that it learned from, on which it was measured, `rejected` those on which it was
    measured beside the champion since it was not promoted, and `challenged` the comparisons on such months in which it
    was the champion. `contract` is today's.
    """

    contract: Contract
    version: Version
    manifest: Manifest
    schema: tuple[Feature, ...]
    recipe: Recipe | None
    evaluation: Evaluation | None
    receipts: tuple[Receipt, ...]
    holdout: HoldoutFigures | str
    later: tuple[Realised, ...]
    rejected: tuple[Rejected, ...]
    challenged: tuple[Evaluation, ...]

    @property
    def champion_then(self) -> Contender | None:
        """The champion that it was compared with."""
        return self.evaluation.champion if self.evaluation else None

    @property
    def metrics(self) -> dict[str, float]:
        """Its figures: those of the comparison, or before there is one those of its training."""
        return self.evaluation.candidate.metrics if self.evaluation else self.manifest.metrics


def known(home: Home, number: int) -> KnownVersion:
    """Gather it. Raises what registry, ledger and lake raise where they cannot be read, as Faults."""
    lake, registry = home.lake, home.registry
    version = registry.version(number)
    bundle, recipe = registry.bundle(version), recipe_of(registry, version)
    receipts = home.ledger.all()
    evaluation, months = _evaluation(lake, version, receipts), measurable(lake, version)
    return KnownVersion(
        contract=home.contract,
        version=version,
        manifest=bundle.manifest,
        schema=bundle.schema,
        recipe=recipe,
        evaluation=evaluation,
        receipts=tuple(receipt for receipt in receipts if _is_about(receipt, number)),
        holdout=_holdout(lake, bundle, recipe, evaluation),
        later=tuple(found for month in months if (found := of_version(lake, month, number))),
        rejected=tuple(
            record
            for month in months
            if (record := lake.document(REJECTED, month, Rejected)) and record.version == number
        ),
        challenged=tuple(
            compared for receipt in receipts if (compared := receipt.evaluation) and _challenges(compared, number)
        ),
    )


def _is_about(receipt: Receipt, number: int) -> bool:
    return receipt.version == number or receipt.champion_before == number != receipt.champion


def _challenges(compared: Evaluation, number: int) -> bool:
    """Whether the version was the champion of a comparison on a month after those that it learned from."""
    champion = compared.champion
    return champion is not None and champion.version == number and compared.month > champion.month


def _evaluation(lake: Lake, version: Version, receipts: tuple[Receipt, ...]) -> Evaluation | None:
    """The newest comparison of which the version was the candidate: it may not be decided on yet.

    One with itself, as champions are evaluated again, counts only where there is no other.
    """
    newest = lake.document(EVALUATION, version.month, Evaluation, "churn retrain")
    every = (newest, *(receipt.evaluation for receipt in reversed(receipts)))
    found = [compared for compared in every if compared and compared.candidate.version == version.number]
    others = [compared for compared in found if not (compared.champion and compared.champion.version == version.number)]
    return next(iter(others or found), None)


def _holdout(lake: Lake, bundle: Bundle, recipe: Recipe | None, evaluation: Evaluation | None) -> HoldoutFigures | str:
    """What the rows show on which the version's figures were measured, if they all are there."""
    if evaluation and evaluation.basis:
        kept, label = evaluation.basis.holdout, evaluation.basis.label
    elif recipe:
        kept, label = recipe.holdout, recipe.label
    else:
        return "an earlier version of the platform measured it, which kept no rows of that"
    try:
        return _measured(lake, bundle, kept, label)
    except Fault as fault:
        return str(fault)


def _measured(lake: Lake, bundle: Bundle, kept: KeptRows, label: str) -> HoldoutFigures | str:
    """The same of these rows. `churn receipt --verify` proves them; here they only have to be as many as they were."""
    from churn_platform.modelling.encoding import encode_frame
    from churn_platform.modelling.metrics import mean_errors

    path = lake.addressed(HOLDOUT_ROWS, kept.sha256)
    if not path.exists():
        return f"the rows that it was measured on, {path.name}, are not there"
    rows = lake.read_file(path)
    kinds = {name: kind_of(found) for name, found in rows.schema().items() if name in bundle.feature_names}
    customers = rows.to_pandas()
    if (erased := kept.rows - len(customers)) > 0:
        return f"{counted(erased, 'row')} of those that it was measured on {'was' if erased == 1 else 'were'} erased"
    features = customers.drop(columns=[*misfits(bundle.schema, kinds).other])
    probabilities, labels = bundle.score(encode_frame(bundle.schema, features)), customers[label].to_numpy(dtype=bool)
    return HoldoutFigures(
        mean_errors(labels, probabilities, bundle.manifest.threshold), calibration(labels, probabilities)
    )
