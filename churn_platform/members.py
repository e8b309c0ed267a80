"""Members: what a model adds up, feature by feature and tree by tree, as a bundle holds it beside the ONNX model.

Here: the form of a bundle's `members.json`, and the raw scores that it gives. Not here: making it from a trained
pipeline (`modelling.members`), or what it is for (`reasons`). Served probabilities never come from it.

The probability is the mean of the members' logistic functions of their raw scores. A member is a sum over features
(`Linear`) or over trees of three levels (`Trees`).
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

LEVELS = 3
NODES = 2**LEVELS - 1


class Node(msgspec.Struct, frozen=True, array_like=True):
    """One question of a tree: `feature` is a position among the model's inputs, or -1 where both answers are the same.

    The answer is left where the input is at most `value`, and where it is unknown and `unknown_left`. Of a category
    (`other`), it is left where the input is another one than `value`.
    """

    feature: int
    value: float
    unknown_left: bool
    other: bool


NO_QUESTION = Node(-1, 0.0, False, False)


class Tree(msgspec.Struct, frozen=True, array_like=True):
    """A tree of LEVELS levels: the children of node i are 2i + 1, left, and 2i + 2; leaves from left to right."""

    nodes: tuple[Node, ...]
    leaves: tuple[float, ...]


class Trees(msgspec.Struct, frozen=True, tag="trees"):
    """A member that is `start` plus a leaf of each tree."""

    start: float
    trees: tuple[Tree, ...]


class Number(msgspec.Struct, frozen=True, array_like=True):
    """What a number adds: `weight` times (value times `scale` plus `offset`, between 0 and 1); `unknown` is a value."""

    feature: int
    unknown: float
    scale: float
    offset: float
    weight: float


class Category(msgspec.Struct, frozen=True, array_like=True):
    """What a category adds: one of `weights`, the first where it is unknown, the others in the schema's order."""

    feature: int
    weights: tuple[float, ...]


class Linear(msgspec.Struct, frozen=True, tag="linear"):
    """A member that is `start` plus what each feature adds."""

    start: float
    numbers: tuple[Number, ...]
    categories: tuple[Category, ...]


Member = Trees | Linear


def used(members: Sequence[Member]) -> list[int]:
    """The positions of the features that any member looks at, ascending."""
    found: set[int] = set()
    for member in members:
        if isinstance(member, Trees):
            found |= {node.feature for tree in member.trees for node in tree.nodes if node.feature >= 0}
        else:
            found |= {number.feature for number in member.numbers if number.weight}
            found |= {category.feature for category in member.categories if any(category.weights)}
    return sorted(found)


def added(member: Linear, encoded: np.ndarray) -> np.ndarray:
    """What each feature of encoded rows [n, features] adds to a linear member, float64 [n, features]."""
    parts = np.zeros(encoded.shape)
    for feature, unknown, scale, offset, weight in map(msgspec.structs.astuple, member.numbers):
        values = encoded[:, feature].astype(np.float64)
        values = np.where(np.isnan(values), unknown, values)
        parts[:, feature] = weight * np.clip(values * scale + offset, 0, 1)
    for category in member.categories:
        code = encoded[:, category.feature].astype(np.intp)  # -1 is unknown
        parts[:, category.feature] = np.array(category.weights)[code + 1]
    return parts


class Leaves:
    """A member's trees as tables: rows become answers, and answers become leaves.

    The answers of a row to a tree are one number of NODES bits; bit i is set where node i's answer is left.
    """

    def __init__(self, member: Trees) -> None:
        nodes = [[msgspec.structs.astuple(node) for node in tree.nodes] for tree in member.trees]
        fields = np.array(nodes, dtype=np.float64).reshape(len(nodes), NODES, 4)
        self.start = member.start
        self.feature = fields[:, :, 0].astype(np.intp)
        """The feature that each node asks for, [trees, NODES]."""
        self._value, self._unknown_left, self._other = fields[:, :, 1], fields[:, :, 2] > 0, fields[:, :, 3] > 0
        leaves = np.array([tree.leaves for tree in member.trees], dtype=np.float64).reshape(len(nodes), NODES + 1)
        self.values = leaves[:, _leaf_of_answers()]
        """What each tree adds for each set of answers, [trees, 2**NODES]."""

    def answers(self, encoded: np.ndarray) -> np.ndarray:
        """The answers of encoded rows [n, features] to each tree, uint8 [n, trees]."""
        found = np.zeros((len(encoded), len(self.feature)), dtype=np.uint8)
        for node in range(NODES):
            inputs = encoded[:, self.feature[:, node]]
            value = self._value[:, node]
            unknown = np.isnan(inputs) & self._unknown_left[:, node]
            left = np.where(self._other[:, node], inputs != value, (inputs <= value) | unknown)
            found |= left.astype(np.uint8) << node
        return found

    def raw(self, answers: np.ndarray) -> np.ndarray:
        """The member's raw scores, float64 [n], for rows' answers [n, trees]."""
        return np.asarray(self.start + self.values[np.arange(len(self.values)), answers].sum(axis=1))


def _leaf_of_answers() -> np.ndarray:
    """The leaf that each set of answers leads to, [2**NODES]."""
    answers = np.arange(2**NODES)
    node = np.zeros(2**NODES, dtype=np.intp)
    for _ in range(LEVELS):
        node = 2 * node + 2 - (answers >> node & 1)
    return np.asarray(node - NODES)
