"""Tabulated: the same walks as in `walks`, by a bundle's members instead of its ONNX model.

Here: what each feature adds to each member on each walk, by look-ups, and from there to log-odds. Not here: the members
and their tables (`churn_platform.members`), or whether they agree with what is served (`shapley`).

A step changes a linear member by the difference of two numbers. It changes a tree only if the tree asks for the step's
feature, and then the tree's answers before and after are those of the customer for the features that have been
replaced, and those of the background customer for the others. Customers with the same answers share that, so for each
tree it is worked out once for all of them; what is left for each customer is adding up. float32 is enough for that, as
it is for what is served: `shapley` shares out what rounding leaves over.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from churn_platform.members import NODES, Leaves, Linear, Member, added, used
from churn_platform.reasons.walks import background_of

_AT_ONCE = 256
"""How many customers are explained at a time, so that what is worked out for them stays in the processor's caches."""

CERTAIN = float(np.log((1 - 1e-6) / 1e-6))
"""Log-odds further from 0 count as this far: float32 cannot tell their probabilities apart."""


def log_odds(raw: Sequence[np.ndarray]) -> np.ndarray:
    """The log-odds of the mean of the members' probabilities, from their raw scores, in any one shape."""
    with np.errstate(over="ignore", divide="ignore"):
        total = sum(1 / (1 + np.exp(-member)) for member in raw)
        return np.asarray(np.clip(np.log(total / (len(raw) - total)), -CERTAIN, CERTAIN))


class Tabulated:
    """The members of a bundle against a background [b, features], along `orders` [walks, features]."""

    def __init__(self, members: Sequence[Member], background: np.ndarray, orders: np.ndarray) -> None:
        self._start = background[[background_of(walk, len(background)) for walk in range(len(orders))]]
        self._features = np.array(used(members), dtype=np.intp)
        rank = np.argsort(orders, axis=1)  # the step at which each feature is replaced, [walks, features]
        self._steps = np.argsort(rank[:, self._features], axis=1)  # among the used features
        self._shape = background.shape[1]
        self._members = [
            _Sums(member, self._start) if isinstance(member, Linear) else _Lookups(Leaves(member), self._start, rank)
            for member in members
        ]

    def log_odds(self, encoded: np.ndarray) -> np.ndarray:
        """The log-odds of encoded rows, float64 [n]."""
        return log_odds([member.raw(encoded) for member in self._members])

    def contributions(self, encoded: np.ndarray) -> np.ndarray:
        """The mean over walks of what each feature changes, float64 [n, features]."""
        parts = np.zeros((len(encoded), self._shape))
        for first in range(0, len(encoded), _AT_ONCE):
            rows = encoded[first : first + _AT_ONCE]
            parts[first : first + len(rows), self._features] = self._walked(rows).T / len(self._steps)
        return parts

    def _walked(self, rows: np.ndarray) -> np.ndarray:
        """The sum over walks of what each used feature changes, [used features, n]."""
        found = np.zeros((len(self._features), len(rows)))
        changes = [member.changes(rows, self._features) for member in self._members]
        begins = [member.raw(self._start) for member in self._members]
        for walk, steps in enumerate(self._steps):
            raw = []
            for change, begin in zip(changes, begins, strict=True):
                along = np.empty((len(steps) + 1, len(rows)), dtype=np.float32)
                along[0] = begin[walk]
                along[1:] = change[walk][steps]
                raw.append(np.cumsum(along, axis=0, out=along))
            found[steps] += np.diff(log_odds(raw), axis=0)
        return found


class _Sums:
    """A linear member along the walks."""

    def __init__(self, member: Linear, start: np.ndarray) -> None:
        self._member = member
        self._begins = added(member, start)

    def raw(self, encoded: np.ndarray) -> np.ndarray:
        return np.asarray(self._member.start + added(self._member, encoded).sum(axis=1))

    def changes(self, rows: np.ndarray, features: np.ndarray) -> np.ndarray:
        """What each feature's replacement changes, [walks, features, n]."""
        reached = added(self._member, rows).T[features].astype(np.float32)
        return np.asarray(reached - self._begins[:, features, None].astype(np.float32))


class _Lookups:
    """A member's trees along the walks."""

    def __init__(self, leaves: Leaves, start: np.ndarray, rank: np.ndarray) -> None:
        self._leaves = leaves
        self._begins = leaves.answers(start)  # [walks, trees]
        rank = rank[:, leaves.feature]  # [walks, trees, nodes]
        bits = 1 << np.arange(NODES)
        # The nodes whose answers are the customer's once a node's feature is replaced, and just before.
        self._after = ((rank[..., None, :] <= rank[..., None]) * bits).sum(axis=-1).astype(np.uint8)
        self._before = ((rank[..., None, :] < rank[..., None]) * bits).sum(axis=-1).astype(np.uint8)

    def raw(self, encoded: np.ndarray) -> np.ndarray:
        return self._leaves.raw(self._leaves.answers(encoded))

    def changes(self, rows: np.ndarray, features: np.ndarray) -> np.ndarray:
        """What each feature's replacement changes, [walks, features, n]."""
        place = {int(feature): i for i, feature in enumerate(features)}
        found = np.zeros((len(features), len(rows), len(self._begins)), dtype=np.float32)
        for tree, answers in enumerate(self._leaves.answers(rows).T):
            distinct, which = np.unique(answers, return_inverse=True)
            asked = {int(feature): node for node, feature in enumerate(self._leaves.feature[tree]) if feature >= 0}
            for feature, node in asked.items():
                found[place[feature]] += self._change(tree, node, distinct)[which]
        return np.ascontiguousarray(found.transpose(2, 0, 1))

    def _change(self, tree: int, node: int, answers: np.ndarray) -> np.ndarray:
        """What replacing the feature that a node asks for changes, for customers' answers [n] to the tree: [n, walks].

        Of two nodes that ask for the same feature, both are replaced at once.
        """
        begins, values = self._begins[:, tree], self._leaves.values[tree].astype(np.float32)
        after, before = self._after[:, tree, node], self._before[:, tree, node]
        customers = answers[:, None]
        reached = values[customers & after | begins & ~after]
        return np.asarray(reached - values[customers & before | begins & ~before])
