"""Promotion: acting on a decision, so that the champion and the ledger always agree.

Here: making a version champion because the gate says so, or because a person does. Not here: the gate
(`modelling.gate`), the alias (`registry`), the record (`receipts`).
"""

from __future__ import annotations

import msgspec

from churn_platform.champion.receipts import Anchor, Ledger, Receipt, Verdict
from churn_platform.champion.registry import Registry, Version
from churn_platform.faults import Fault
from churn_platform.modelling.evaluation import Evaluation
from churn_platform.modelling.gate import decide


class PromotionError(Fault):
    """A promotion or rollback that is not possible; the message says why."""


def settle(registry: Registry, ledger: Ledger, evaluation: Evaluation, *, by: str, run_id: str) -> Receipt:
    """Ask the gate again and act on its answer, once per evaluation; a second call returns the first one's receipt.

    The champion moves before the receipt is written: after a crash between the two, the next call finds the candidate
    serving and writes the missing receipt. Raises RegistryError or BundleError, and then nothing has moved.
    """
    with ledger.locked():
        if (settled := ledger.of_evaluation(evaluation)) is not None:
            _anchor(registry, ledger)  # in case of a crash before it
            return settled
        candidate = registry.version(evaluation.candidate.version)
        serving = _number(registry.champion())
        if serving == candidate.number and not ledger.appointed(candidate.number):  # after a crash before the receipt
            serving = evaluation.champion.version if evaluation.champion else None
        decision = decide(evaluation, serving)
        if decision.promote:
            registry.appoint(candidate)
        receipt = ledger.add(
            verdict="promoted" if decision.promote else "kept",
            by=by,
            reason=decision.decision,
            version=candidate,
            before=serving,
            after=candidate.number if decision.promote else serving,
            run_id=run_id,
            evaluation=evaluation,
        )
        _anchor(registry, ledger)
        return receipt


def appoint(registry: Registry, ledger: Ledger, number: int, *, reason: str, by: str, run_id: str) -> Receipt:
    """Make a version champion because a person says so. The gate is not asked; the bundle is verified all the same."""
    with ledger.locked():
        return _appoint(registry, ledger, registry.version(number), "appointed", reason, by, run_id)


def roll_back(registry: Registry, ledger: Ledger, *, reason: str, by: str, run_id: str) -> Receipt:
    """Return to the version that served before the current champion; called twice, to the one before that.

    Raises PromotionError where there was none.
    """
    with ledger.locked():
        serving = _number(registry.champion())
        before = [version for version in ledger.champions() if version != serving]
        if not before:
            raise PromotionError(f"nothing to roll back to: no version served before {_named(serving)}")
        return _appoint(registry, ledger, registry.version(before[-1]), "rolled back", reason, by, run_id)


def faults(registry: Registry, ledger: Ledger) -> list[str]:
    """What is wrong with the receipts, a sentence each. Raises RegistryError."""
    return ledger.faults(_anchored(registry))


def _anchor(registry: Registry, ledger: Ledger) -> None:
    """Make the registry keep which receipt is the newest: no other receipt proves that one."""
    newest, kept = ledger.newest(), _anchored(registry)
    if newest is not None and (kept is None or kept.number < newest.number):
        registry.keep_anchor(msgspec.json.encode(newest).decode())


def _anchored(registry: Registry) -> Anchor | None:
    text = registry.anchor()
    return msgspec.json.decode(text, type=Anchor) if text else None


def _appoint(
    registry: Registry, ledger: Ledger, version: Version, verdict: Verdict, reason: str, by: str, run_id: str
) -> Receipt:
    serving = _number(registry.champion())
    registry.appoint(version)
    receipt = ledger.add(
        verdict=verdict, by=by, reason=reason, version=version, before=serving, after=version.number, run_id=run_id
    )
    _anchor(registry, ledger)
    return receipt


def _number(version: Version | None) -> int | None:
    return version.number if version else None


def _named(number: int | None) -> str:
    return "the first champion" if number is None else f"version {number}"
