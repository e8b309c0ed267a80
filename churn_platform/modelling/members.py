"""Members: a trained pipeline taken apart into what it adds up, for a bundle's `members.json`.

Here: from scikit-learn's fitted steps to the members' form. Not here: that form (`churn_platform.members`), what the
steps are (`estimators`), or whether the result agrees with what is served (`export`, `reasons`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from churn_platform.bundle import Feature
from churn_platform.members import LEVELS, NO_QUESTION, NODES, Category, Linear, Member, Node, Number, Tree, Trees
from churn_platform.modelling import sklearn_private

if TYPE_CHECKING:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import Pipeline

_MOST = float(np.finfo(np.float32).max)
"""In place of an infinite threshold, which JSON cannot hold: every number that is known is at most this."""


def members(pipeline: Pipeline, schema: Sequence[Feature]) -> tuple[Member, ...]:
    """What a fitted pipeline of `estimators.build` adds up; nothing where that is more than the form can hold.

    A forest's trees are too deep for it.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier, VotingClassifier
    from sklearn.linear_model import LogisticRegression

    model = pipeline.named_steps["model"]
    if isinstance(model, VotingClassifier):
        parts = [members(member, schema) for member in model.estimators_]
        return tuple(member for part in parts for member in part) if all(parts) else ()
    numbers = _numbers(pipeline, schema)
    if isinstance(model, LogisticRegression):
        return (_linear(model, pipeline, schema, numbers),)
    if isinstance(model, HistGradientBoostingClassifier):
        grown = [tree.nodes for tree in sklearn_private.trees(model)]
        if all(int(nodes["depth"].max()) <= LEVELS for nodes in grown):
            inputs = _inputs(schema, numbers)
            start = sklearn_private.start(model)
            return (Trees(start, tuple(_tree(nodes, inputs) for nodes in grown)),)
    return ()


def _numbers(pipeline: Pipeline, schema: Sequence[Feature]) -> list[int]:
    """The positions of the numbers that the pipeline has not left out."""
    _, _, numbers = pipeline.named_steps["columns"].transformers_[1]
    return [position for position in numbers if schema[position].kind != "category"]


def _inputs(schema: Sequence[Feature], numbers: Sequence[int]) -> list[tuple[int, float | None]]:
    """What each column that the model sees is: a feature's position, and the category that it is one for, if any."""
    categories = [
        (position, float(code))
        for position, feature in enumerate(schema)
        if feature.kind == "category"
        for code in range(-1, len(feature.categories))
    ]
    return [*categories, *((position, None) for position in numbers)]


def _linear(model: LogisticRegression, pipeline: Pipeline, schema: Sequence[Feature], numbers: Sequence[int]) -> Linear:
    weights = [float(weight) for weight in model.coef_[0]]
    categories = []
    for position, feature in enumerate(schema):
        if feature.kind == "category":
            taken, weights = weights[: len(feature.categories) + 1], weights[len(feature.categories) + 1 :]
            categories.append(Category(position, tuple(taken)))
    start, found = float(model.intercept_[0]), []
    if numbers:
        imputer, scaler, standard = (step for _, step in pipeline.named_steps["columns"].transformers_[1][1].steps)
        for i, (position, weight) in enumerate(zip(numbers, weights, strict=True)):
            weight /= float(standard.scale_[i])
            start -= weight * float(standard.mean_[i])
            unknown, scale, offset = imputer.statistics_[i], scaler.scale_[i], scaler.min_[i]
            found.append(Number(position, float(unknown), float(scale), float(offset), weight))
    return Linear(start, tuple(found), tuple(categories))


def _tree(grown: Any, inputs: Sequence[tuple[int, float | None]]) -> Tree:
    """A tree with all of its levels: below a leaf that comes early, whatever the answers, it is the same leaf."""
    nodes, leaves = [NO_QUESTION] * NODES, [0.0] * (NODES + 1)
    waiting = [(0, 0)]  # places in the full tree, and nodes of the grown one
    while waiting:
        place, at = waiting.pop()
        node = grown[at]
        if place >= NODES:
            leaves[place - NODES] = float(node["value"])
            continue
        left, right = (at, at) if node["is_leaf"] else (int(node["left"]), int(node["right"]))
        if not node["is_leaf"]:
            nodes[place] = _node(node, *inputs[int(node["feature_idx"])])
        waiting += [(2 * place + 1, left), (2 * place + 2, right)]
    return Tree(tuple(nodes), tuple(leaves))


def _node(node: Any, feature: int, category: float | None) -> Node:
    if category is not None:  # its column holds 0 or 1, and is 0 for every other category
        return Node(feature, category, False, True)
    threshold = float(np.clip(node["num_threshold"], -_MOST, _MOST))
    return Node(feature, threshold, bool(node["missing_go_to_left"]), False)
