"""Agreement: whether the registry and the ledger tell the same story, and whether each is whole.

Here: what is wrong between them, in sentences that say what to do. Not here: putting it right (`promotion`), or what
serving does meanwhile (`serving`).

Anybody who reaches MLflow can move its alias, and either store may come back from a backup without the other.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from churn_platform.champion.receipts import Anchor, Ledger, Receipt
from churn_platform.champion.registry import NoVersionError, Registry


def disagreements(registry: Registry, ledger: Ledger) -> list[str]:
    """What is wrong with the receipts, or between them and the registry, a sentence each.

    It reads and changes nothing. A decision that is being made meanwhile may look like a fault: call it inside
    `Ledger.locked`, or use `findings`. Raises RegistryError and BookError.
    """
    anchor = _anchored(registry)
    broken = ledger.faults()
    if broken:  # what was changed cannot be compared with anything
        return ledger.faults(anchor)
    return list(_between(registry, ledger, anchor))


def findings(registry: Registry, ledger: Ledger) -> list[str]:
    """The same, from anywhere: only if something looks wrong, it waits for the decision that may be being made."""
    if not disagreements(registry, ledger):
        return []
    with ledger.locked():
        return disagreements(registry, ledger)


def unproven(registry: Registry, ledger: Ledger, number: int) -> list[str]:
    """What is wrong with the receipts, or why nothing proves this one, a sentence each.

    Who serves is not asked. Raises RegistryError and BookError.
    """
    if not _unproven(registry, ledger, number):
        return []
    with ledger.locked():  # a decision may have been under way
        return _unproven(registry, ledger, number)


def _unproven(registry: Registry, ledger: Ledger, number: int) -> list[str]:
    anchor, newest, intent = _anchored(registry), ledger.newest(), ledger.intent()
    unknown = f"nothing proves receipt {number}: the registry does not know it (churn receipts)"
    if intent is not None and anchor == ledger.intended():  # interrupted: the intent names the newest receipt
        follows = newest is not None and intent.previous_sha256 == newest.sha256
        return [*ledger.faults(), *([] if follows else [unknown])]
    if anchor is None or anchor.number < number:  # whoever wrote the receipts since may have written all of them
        return [*ledger.faults(), unknown]
    return ledger.faults(anchor)


def _between(registry: Registry, ledger: Ledger, anchor: Anchor | None) -> Iterator[str]:
    if (intent := ledger.intent()) is not None:
        yield _interrupted(intent)
        return
    newest = ledger.newest()
    if newest is not None and (anchor is None or anchor.number < newest.number):
        known = f"receipt {anchor.number} as the newest" if anchor else "no receipt"
        yield (
            f"the registry knows {known}, but there are {newest.number}: the registry is older than the receipts, as"
            " after restoring only its backup. Restore the newer one; or decide anew, by `churn promote`"
        )
    elif anchor is not None and (newest is None or anchor.number > newest.number):
        yield (
            f"the registry knows receipt {anchor.number} as the newest, but there are only"
            f" {newest.number if newest else 0}: receipts were removed, or are older than the registry. Restore them"
            " from a backup; or decide anew, by `churn promote`"
        )
    else:
        yield from ledger.faults(anchor)
    if (told := contested(registry, ledger)) is not None:
        yield told


def contested(registry: Registry, ledger: Ledger) -> str | None:
    """A sentence if the registry serves another version than the one that the receipts name; else None.

    Raises RegistryError, BookError and ReceiptError.
    """
    found = registry.champion()
    served, made = found.number if found else None, ledger.champion()
    if served == made:
        return None
    if made is None:
        return (
            f"the registry serves version {served}, but no receipt made it champion: confirm it with"
            f" `churn promote {served} --reason TEXT`, or promote another version"
        )
    newest = next(receipt for receipt in reversed(ledger.all()) if receipt.appoints)
    serves = "no version" if served is None else f"version {served}"
    told = f"the registry serves {serves}, but receipt {newest.number} made version {made} champion"
    try:
        registry.version(made)
    except NoVersionError:
        return (
            f"{told}, which the registry does not have: it is older than the receipts, as after restoring only its"
            " backup. Restore the newer one; or decide anew, by `churn promote N --reason TEXT`"
        )
    confirm = "" if served is None else f", `churn promote {served} --reason TEXT` confirms version {served}"
    return f"{told}: `churn promote {made} --reason TEXT` restores version {made}{confirm}"


def _interrupted(intent: Receipt) -> str:
    return (
        f"receipt {intent.number} was begun at {intent.decided_at} and not finished ({intent.title},"
        f" by {intent.who}): run the command again, or the next decision finishes it"
    )


def _anchored(registry: Registry) -> Anchor | None:
    text = registry.anchor()
    return msgspec.json.decode(text, type=Anchor) if text else None
