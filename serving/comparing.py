"""Comparing what the registry and the ledger call champion, and telling where they differ.

Here: whether they differ for longer than a promotion takes, and the sentence. Not here: who serves then (`champion`).
"""

from __future__ import annotations

from serving.ledger import Standing
from serving.registry import MODEL, Registered


class Compared:
    """`difference` is a sentence that says both, or None.

    A promotion moves the alias and writes the receipt a moment later, or a crash lies between the two: only what is
    found twice in a row is told.
    """

    def __init__(self) -> None:
        self.difference: str | None = None
        self._found: str | None = None

    def look(self, registered: Registered | None, standing: Standing) -> None:
        """Compare once more. Without an answer of either there is nothing to compare."""
        found = _difference(registered, standing)
        self.difference = found if found == self._found else None
        self._found = found


def _difference(registered: Registered | None, standing: Standing) -> str | None:
    made = standing.champion
    if registered is None or made is None:
        return None
    receipt = f"receipt {standing.receipt} made version {made.number} champion"
    if registered.number != made.number:
        return (
            f"champion: the alias of {MODEL} in the registry is at version {registered.number}, but {receipt}:"
            f" `churn promote {made.number} --reason TEXT` restores version {made.number},"
            f" `churn promote {registered.number} --reason TEXT` confirms version {registered.number}"
        )
    if registered.tags.get("bundle_sha256") != made.bundle_sha256:
        return f"champion: the registry gives version {made.number} another bundle than the one with which {receipt}"
    return None
