"""Promotion: acting on a decision, so that the champion and the ledger always agree.

Here: making a version champion because the gate says so, or because a person does; pausing that; and the receipt of
an erasure, which is one of the same chain. Not here: the gate
(`modelling.gate`), the alias (`registry`), the record (`receipts`), or finding where they disagree (`agreement`).

Whatever is decided is written first as an intent, then done, then confirmed (`receipts`). Whoever decides next finishes
an open intent before anything else, and a decision that has its receipt is not made again.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from churn_platform.champion.agreement import disagreements
from churn_platform.champion.receipts import Erasure, Ledger, Receipt, Verdict
from churn_platform.champion.registry import Registry, Version
from churn_platform.faults import Fault
from churn_platform.modelling.evaluation import Evaluation
from churn_platform.modelling.gate import decide

MOST_TOLD = 5
"""How many sentences about a disagreement a receipt keeps."""


class PromotionError(Fault):
    """A promotion or rollback that is not possible; the message says why."""


class PausedError(PromotionError):
    """A promotion that nobody asked for while they are paused."""


@dataclass(frozen=True)
class Request:
    """What a person asks for, and in which Dagster run. `id` stays the same when the same request is made again."""

    by: str
    reason: str
    run_id: str
    id: str


def settle(registry: Registry, ledger: Ledger, evaluation: Evaluation, *, by: str, run_id: str) -> Receipt:
    """Ask the gate again and act on its answer, once per evaluation; a second call returns the first one's receipt.

    Raises RegistryError, BundleError, BookError, and PausedError where it would promote while that is paused; then
    nothing has moved, unless the registry failed to answer halfway: the next decision finishes that.
    """
    with _deciding(registry, ledger):
        if (settled := ledger.of_evaluation(evaluation)) is not None:
            return settled
        candidate = registry.version(evaluation.candidate.version)
        before = _before(registry, ledger, candidate)
        decision = decide(evaluation, before)
        if decision.promote and (why := paused(ledger)):
            raise PausedError(f"version {candidate.number} is not promoted now: {why}")
        return _do(
            registry,
            ledger,
            verdict="promoted" if decision.promote else "kept",
            by=by,
            reason=decision.decision,
            version=candidate,
            before=before,
            after=candidate.number if decision.promote else before,
            run_id=run_id,
            evaluation=evaluation,
        )


def appoint(registry: Registry, ledger: Ledger, number: int, request: Request) -> Receipt:
    """Make a version champion because a person says so. The gate is not asked; the bundle is verified all the same."""
    with _deciding(registry, ledger):
        if (made := ledger.of_decision(request.id)) is not None:
            return made
        return _ask(registry, ledger, "appointed", registry.version(number), request)


def roll_back(registry: Registry, ledger: Ledger, request: Request) -> Receipt:
    """Return to the version that served before the current champion; asked for anew, to the one before that.

    A champion that no receipt ever made is left for the one that the receipts name. Raises PromotionError where there
    is none to return to.
    """
    with _deciding(registry, ledger):
        if (made := ledger.of_decision(request.id)) is not None:
            return made
        champions, serving = ledger.champions(), _number(registry.champion())
        if serving in champions or serving is None:
            serving = ledger.champion()
        before = [version for version in champions if version != serving]
        if not before:
            raise PromotionError(f"nothing to roll back to: no version served before {_named(serving)}")
        return _ask(registry, ledger, "rolled back", registry.version(before[-1]), request)


def pause(registry: Registry, ledger: Ledger, request: Request) -> Receipt:
    """Let no promotion or retraining begin by itself from now on. Raises PromotionError where that is so already."""
    return _freeze(registry, ledger, "paused", request)


def resume(registry: Registry, ledger: Ledger, request: Request) -> Receipt:
    """End a pause. Raises PromotionError where there is none."""
    return _freeze(registry, ledger, "resumed", request)


def record_erasure(registry: Registry, ledger: Ledger, request: Request, erasure: Erasure) -> Receipt:
    """Write down that customers were erased, once they are. It changes nothing about who serves."""
    with _deciding(registry, ledger):
        if (made := ledger.of_decision(request.id)) is not None:
            return made
        return _ask(registry, ledger, "erased", None, request, erasure)


def paused(ledger: Ledger) -> str | None:
    """A sentence about the pause that is in force, or None."""
    if (receipt := ledger.pause()) is None:
        return None
    return (
        f"promotions and retrainings are paused since {receipt.decided_at} by {receipt.who}: "
        f"{receipt.why} (churn resume ends that)"
    )


def finish(registry: Registry, ledger: Ledger) -> None:
    """Finish a decision that was interrupted, where there is one. One that cannot be done any more is withdrawn.

    Raises RegistryError where nobody can tell how far it got.
    """
    with _deciding(registry, ledger):
        pass


@contextmanager
def _deciding(registry: Registry, ledger: Ledger) -> Iterator[None]:
    """Holds the ledger's lock, with nothing left open."""
    with ledger.locked():
        if (intent := ledger.intent()) is not None:
            try:
                _carry_out(registry, ledger, intent, again=True)
            except Fault:
                if ledger.intent() is not None:
                    raise
        yield


def _ask(
    registry: Registry,
    ledger: Ledger,
    verdict: Literal["appointed", "rolled back", "paused", "resumed", "erased"],
    version: Version | None,
    request: Request,
    erasure: Erasure | None = None,
) -> Receipt:
    """A person's decision for a version, or about none, which leaves the champion as it is."""
    before = _before(registry, ledger) if version else ledger.champion()
    return _do(
        registry,
        ledger,
        verdict=verdict,
        by=request.by,
        reason=request.reason,
        version=version,
        before=before,
        after=version.number if version else before,
        run_id=request.run_id,
        decision=request.id,
        erasure=erasure,
    )


def _freeze(registry: Registry, ledger: Ledger, verdict: Literal["paused", "resumed"], request: Request) -> Receipt:
    with _deciding(registry, ledger):
        if (made := ledger.of_decision(request.id)) is not None:
            return made
        why = paused(ledger)
        if verdict == "paused" and why:
            raise PromotionError(why)
        if verdict == "resumed" and not why:
            raise PromotionError("nothing is paused")
        return _ask(registry, ledger, verdict, None, request)


def _do(registry: Registry, ledger: Ledger, *, verdict: Verdict, **facts: Any) -> Receipt:
    """Write the intent, do it, confirm it. What was wrong beforehand is part of the record."""
    despite = tuple(disagreements(registry, ledger)[:MOST_TOLD])
    intent = ledger.intend(verdict=verdict, despite=despite, **facts)
    _carry_out(registry, ledger, intent)
    return intent


def _carry_out(registry: Registry, ledger: Ledger, intent: Receipt, *, again: bool = False) -> None:
    """Do what an intent says, and confirm it. Raises its fault, and withdraws it where the champion has not moved."""
    served = _number(registry.champion())
    if intent.appoints and not (again and served == intent.champion):
        try:
            registry.appoint(registry.version(intent.version))
        except Fault:
            if served == intent.champion or _number(registry.champion()) != intent.champion:
                ledger.withdraw()
                raise
    registry.keep_anchor(msgspec.json.encode(ledger.intended()).decode())
    if intent.version:
        registry.keep_decision(intent.version, f"{intent.number}: {intent.title}")
    ledger.confirm()


def _before(registry: Registry, ledger: Ledger, candidate: Version | None = None) -> int | None:
    """Who served before a decision: the receipts say it, and the registry where there is no receipt yet.

    An earlier version of the platform moved the champion first and wrote the receipt after: a candidate that serves
    without one was promoted by it, and a crash took the receipt.
    """
    if ledger.newest() is not None:
        return ledger.champion()
    served = _number(registry.champion())
    return None if candidate and candidate.number == served else served


def _number(version: Version | None) -> int | None:
    return version.number if version else None


def _named(number: int | None) -> str:
    return "the first champion" if number is None else f"version {number}"
