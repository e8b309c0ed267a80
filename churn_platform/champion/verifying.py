"""Verifying: every figure of a receipt computed again, from the rows and the bundles that it names.

Here: what is compared with what, and what is said where something is not as it was. Not here: proving rows
(`tables.proofs`), the comparison itself (`comparing`), or training a version again (`rebuilding`).

It fails closed: what cannot be read counts as changed. Months that were restated since, and what is declared or set
now, do not matter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

import msgspec

from churn_platform.bundle import Bundle
from churn_platform.champion import twins
from churn_platform.champion.agreement import unproven
from churn_platform.champion.comparing import compare, model_of
from churn_platform.champion.receipts import MOST_OF_REASON, Ledger, Receipt
from churn_platform.champion.recipes import recipe_of
from churn_platform.champion.registry import Registry
from churn_platform.faults import Fault
from churn_platform.lake import Lake
from churn_platform.modelling.evaluation import Evaluation
from churn_platform.modelling.facts import Basis, Watched
from churn_platform.modelling.gate import decide
from churn_platform.modelling.recipe import KeptRows, Recipe, changed_libraries
from churn_platform.months import Month
from churn_platform.shown import MOST, as_text, counted
from churn_platform.tables import proofs
from churn_platform.tables.names import HOLDOUT_ROWS, TRAINING_ROWS

TOLERANCE = 1e-6
"""How far a figure may be off where a library has another version than then, or the processor is of another kind.

Otherwise it has to be equal.
"""

EARLIER = "by an earlier version of the platform, which kept no rows"


class Verification(msgspec.Struct, frozen=True):
    """What came of verifying a receipt.

    `changed` are sentences about what is not as it was, `lacking` about what is no longer there to compute from,
    lawfully: rows that were erased, or that an earlier version of the platform did not keep. `proved` says what holds.
    """

    receipt: int
    changed: tuple[str, ...]
    lacking: tuple[str, ...]
    proved: tuple[str, ...]

    @property
    def state(self) -> Literal["verified", "changed", "not recomputable"]:
        """The whole of it, in a word or two."""
        return "changed" if self.changed else "not recomputable" if self.lacking else "verified"


class _Findings:
    """What is found on the way. `named` tells how many rows of a file were erased, as receipts say."""

    def __init__(self, named: Callable[[str], int]) -> None:
        self.named = named
        self.changed: list[str] = []
        self.lacking: list[str] = []
        self.proved: list[str] = []

    @contextmanager
    def told(self, about: str = "") -> Iterator[None]:
        """A fault ends the block, and is told with the rest, after what it is about."""
        try:
            yield
        except Fault as fault:
            self.changed.append(f"{about}{fault}")


def verify(lake: Lake, registry: Registry, ledger: Ledger, receipt: Receipt) -> Verification:
    """Compute a receipt's figures again, and say what is not as it says. Raises BookError and RegistryError.

    Also the chain of receipts, both versions' bundles, the rows that they were compared on, and the rows from which
    they were trained are proved.
    """
    found = _Findings(ledger.erased_rows)
    found.changed += unproven(registry, ledger, receipt.number)
    if not found.changed:
        found.proved.append("the receipts are those that were written")
    if receipt.version:
        bundles = _bundles(found, registry, receipt)
        erased = _training_rows(found, lake, registry, receipt)
        if receipt.evaluation is not None:
            watched = receipt.evaluation.watched if receipt.version in erased else None
            _figures(found, lake, registry, receipt, receipt.evaluation, bundles, watched)
    return Verification(receipt.number, tuple(found.changed), tuple(found.lacking), tuple(found.proved))


def _basis(receipt: Receipt) -> Basis | None:
    return receipt.evaluation.basis if receipt.evaluation else None


def _bundles(found: _Findings, registry: Registry, receipt: Receipt) -> dict[int, Bundle]:
    """The versions' bundles that can be read, the candidate's first."""
    basis, bundles = _basis(receipt), {}
    wanted = [(receipt.version, receipt.bundle_sha256), *(basis.bundles.items() if basis else ())]
    for number, digest in dict.fromkeys(wanted):
        with found.told(f"version {number}: "):
            bundle = registry.bundle(registry.version(number))
            if bundle.digest != digest:
                told = f"version {number}: its bundle is {bundle.digest}, but the receipt says {digest}"
                found.changed.append(told)
            else:
                bundles[number] = bundle
                found.proved.append(f"the bundle of version {number} is the one that was decided on")
    return bundles


def _training_rows(found: _Findings, lake: Lake, registry: Registry, receipt: Receipt) -> set[int]:
    """Prove what the versions were trained from, and that the registry says the same of it as the receipt.

    Returns the versions of whose rows some were erased, or changed.
    """
    basis, short = _basis(receipt), set[int]()
    for number in basis.bundles if basis else {receipt.version: ""}:
        recorded = basis.recipes.get(number) if basis else None
        kept: Recipe | None = None
        with found.told():
            kept = recipe_of(registry, registry.version(number))
            if basis and kept != recorded:
                found.changed.append(
                    f"version {number}: its recipe.json in MLflow is not the one that the receipt holds"
                )
        recipe = recorded or kept
        if recipe is None:
            found.proved.append(f"version {number} was trained {EARLIER} of its training")
        else:
            short.add(number)
            with found.told():
                what = f"training rows of version {number}"
                if erased := _prove(found, lake, TRAINING_ROWS, recipe.training, what):
                    found.lacking.append(
                        f"{counted(erased, 'row')} erased of the {what}: what its features tell by themselves is taken"
                        " as it is written, and nobody can train it again to the bit"
                    )
                else:
                    short.remove(number)
    return short


def _prove(found: _Findings, lake: Lake, name: str, kept: KeptRows, what: str) -> int:
    """How many of these rows were erased, as receipts say; the others are proved. Raises ProofError."""
    erased = proofs.check(lake, name, kept)
    if erased > (named := found.named(f"{name}/{kept.sha256}")):
        raise proofs.ProofError(
            f"{name}/{kept.sha256}.parquet: {counted(erased, 'row')} of the {what} are gone, and receipts of erasures"
            f" name {named:,}: restore the file and its proof from a backup, or finish the erasure (churn forget)"
        )
    found.proved.append(f"{kept.rows - erased:,} {what}, each as it was kept")
    return erased


def _figures(
    found: _Findings,
    lake: Lake,
    registry: Registry,
    receipt: Receipt,
    recorded: Evaluation,
    bundles: dict[int, Bundle],
    watched: Watched | None,
) -> None:
    basis = recorded.basis
    if basis is None:
        found.lacking.append(f"the comparison was made {EARLIER} of it")
        return
    with found.told():
        if erased := _prove(found, lake, HOLDOUT_ROWS, basis.holdout, "holdout rows"):
            found.lacking.append(f"{counted(erased, 'row')} erased of those that the versions were compared on")
        elif basis.bundles.keys() <= bundles.keys():
            again = _again(lake, registry, recorded, basis, bundles, watched)
            changed = tuple(changed_libraries(basis.libraries))
            differing = [
                *_differences(recorded, again, exact=not changed),
                *_decided(receipt, again, exact=not changed),
            ]
            found.changed += differing
            if differing and changed:
                found.changed.append(f"what it was computed with may explain that: {', '.join(changed)}")
            if not differing:
                found.proved.append("every figure, gate and the decision come out as they are written")
    found.changed += _looks(registry, recorded)


def _again(
    lake: Lake,
    registry: Registry,
    recorded: Evaluation,
    basis: Basis,
    bundles: dict[int, Bundle],
    watched: Watched | None,
) -> Evaluation:
    """The comparison as it comes out now.

    Taken as they are: what was set then, how many looks there were, how versions ranked earlier months, and `watched`.
    """
    bundles = {number: bundles[number] for number in basis.bundles}
    rows = lake.read_file(lake.addressed(HOLDOUT_ROWS, basis.holdout.sha256))
    if lacking := [name for name in ("month", basis.key, basis.label, *basis.segments) if name not in rows.columns]:
        raise proofs.ProofError(f"the receipt names columns that its holdout rows lack: {', '.join(lacking)}")
    months = rows.month.to_pandas().unique()
    return compare(
        lake,
        basis,
        bundles,
        model_of(registry, registry.version(basis.candidate)),
        month=", ".join(months),
        delta=recorded.delta,
        looks=recorded.looks,
        warn_only=recorded.warn_only,
        earlier=recorded.earlier,
        watched=watched,
    ).evaluation


def _decided(receipt: Receipt, again: Evaluation, exact: bool) -> Iterator[str]:
    """What of the receipt does not follow from the comparison."""
    decision = decide(again, receipt.champion_before)
    verdict = "promoted" if decision.promote else "kept"
    for name, written, computed in (
        ("verdict", receipt.verdict, verdict),
        ("version", receipt.version, again.candidate.version),
        ("month", receipt.month, again.month),
        *([("reason", receipt.reason, decision.decision)] if exact else []),
    ):
        if written != computed:
            yield _differs(name, written, computed)


def _looks(registry: Registry, recorded: Evaluation) -> Iterator[str]:
    """Candidates that were registered later were not counted; the candidate itself and those before it were."""
    try:
        month = Month.parse(recorded.month)
        least = twins.different(registry, month, up_to=recorded.candidate.version)
        most = twins.different(registry, month)
    except Fault as fault:
        yield str(fault)
        return
    if not least <= recorded.looks <= most:
        yield _differs("looks", recorded.looks, f"{least} to {most}" if least != most else least)


_WORDS = ("explanation", "decision")
"""What is worded by the platform's version, and rounds figures."""


def _differences(recorded: Evaluation, again: Evaluation, exact: bool) -> Iterator[str]:
    """Where two evaluations differ, each place with both values."""
    left, right = (msgspec.to_builtins(msgspec.structs.replace(found, basis=None)) for found in (recorded, again))
    if not exact:  # another version of the platform may ask more
        asked = {gate["name"] for gate in left["gates"]}
        right["gates"] = [gate for gate in right["gates"] if gate["name"] in asked]
    for place, written, computed in _unequal("", left, right, exact):
        yield _differs(place, written, computed)


def _unequal(place: str, left: Any, right: Any, exact: bool) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(left, dict) and isinstance(right, dict):
        for name in dict.fromkeys((*left, *right)):
            if exact or name not in _WORDS:
                yield from _unequal(f"{place}.{name}".lstrip("."), left.get(name), right.get(name), exact)
    elif isinstance(left, list | tuple) and isinstance(right, list | tuple) and len(left) == len(right):
        for position, (one, other) in enumerate(zip(left, right, strict=True)):
            yield from _unequal(f"{place}[{_called(one, position)}]", one, other, exact)
    elif isinstance(left, list | tuple) and isinstance(right, list | tuple):
        yield place, f"{len(left)} of them", f"{len(right)} of them"
    elif isinstance(left, float) and isinstance(right, float):
        if left != right and (exact or not abs(left - right) <= TOLERANCE) and not (left != left and right != right):
            yield place, left, right
    elif left != right:
        yield place, left, right


def _called(one: Any, position: int) -> str:
    """An entry of a list by what it is about: a gate's name, a group's column and value, a feature, or a month."""
    names = ("name", "column", "value", "feature", "month")
    said = [str(one[name]) for name in names if name in one] if isinstance(one, dict) else []
    return as_text(" ".join(said) or position, MOST)


def _differs(place: str, written: object, computed: object) -> str:
    said, found = (as_text(value, MOST_OF_REASON) for value in (written, computed))
    return f"{place}: the receipt says {said}, and it comes out as {found}"
