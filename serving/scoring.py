"""Scoring: from features to a probability, and what counts as unknown on the way.

Here: stored features and what-if features against the model's schema. Not here: the encoding and the model itself
(`churn_platform.bundle`), or which customer the features belong to (`predictor`).
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import msgspec

from churn_platform.bundle import Bundle, Feature, Value, misfits
from churn_platform.company import past
from churn_platform.contracts import Column, Contract
from churn_platform.online.types import Row, RowSchema
from serving.asking import shown
from serving.messages import Call
from serving.problems import FieldProblem, ProblemError

MUST_BE_GIVEN = "must be given"

_SHOWN = 8
"""How many of the champion's features are named where one is not among them."""

_decode = msgspec.msgpack.Decoder(tuple[Value, ...]).decode
_encode = msgspec.json.Encoder().encode


class Scored(NamedTuple):
    """A probability, the prediction at the model's threshold, and the features used as JSON."""

    probability: float
    prediction: Call
    features_used: msgspec.Raw


class Unscorable(NamedTuple):
    """Why the rows of a publication cannot be scored, whatever their values, and the features that they lack."""

    why: str
    lacking: tuple[str, ...]


def features_of(row: Row) -> dict[str, Value]:
    """A customer's features by name. Raises ProblemError 503."""
    try:
        return dict(zip(row.schema.features, _decode(row.values), strict=True))
    except (ValueError, TypeError, RecursionError) as error:
        raise _unusable(error) from error


def by_present_names(features: dict[str, Value], contract: Contract) -> dict[str, Value]:
    """Stored features without the former names that renamed ones have too, for champions that have learned them."""
    return {name: value for name, value in features.items() if contract.former.get(name) not in features}


def unscorable(bundle: Bundle, schema: RowSchema) -> Unscorable | None:
    """What keeps a bundle from scoring the rows of a publication; None where nothing does."""
    lacking, other = misfits(bundle.schema, dict(zip(schema.features, schema.kinds, strict=True)))
    faults = []
    if lacking:
        faults.append(f"lacks {', '.join(lacking)}, which the champion needs")
    if other:
        faults.append(f"has {', '.join(other)} of another kind than the champion knows")
    if not faults:
        return None
    cure = (
        f"publish the features again (churn close {schema.as_of[:7]}); if that stops, promote a version that fits the"
        " declaration, or declare what the champion knows and close again"
    )
    return Unscorable(f"the online store {', and '.join(faults)}: {cure}", lacking)


def score(bundle: Bundle, judge: Callable[[RowSchema], Unscorable | None], row: Row) -> Scored:
    """Score a customer as the store holds them; `judge` is `unscorable` with this bundle.

    A feature that the store does not have at all counts as unknown only where the model's schema lets it be left out.
    Raises ProblemError 503.
    """
    if found := judge(row.schema):
        detail = f"{found.why[0].upper()}{found.why[1:]}."
        raise ProblemError(503, "store_lacks_features", detail, missing_features=found.lacking)
    used = features_of(row)
    if used.keys() != bundle.feature_names:
        used = {feature.name: used.get(feature.name) for feature in bundle.schema}
    return score_features(bundle, used)


def score_features(bundle: Bundle, used: dict[str, Value]) -> Scored:
    """Score these features, as the model's schema has them. Raises ProblemError 503."""
    try:
        probability = float(bundle.score_features((used,))[0])
    except ValueError as error:  # text where the model takes a number
        raise _unusable(error) from error
    return Scored(probability, 1 if probability >= bundle.manifest.threshold else 0, msgspec.Raw(_encode(used)))


def _unusable(error: Exception) -> ProblemError:
    detail = f"The online store holds features that cannot be used ({shown(error)}): publish the features again."
    return ProblemError(503, "store_lacks_features", detail)


def as_learned(schema: Sequence[Feature], features: dict[str, Value], contract: Contract) -> dict[str, Value]:
    """A what-if's features by the names that the model has learned, where they are given by other names of a column."""
    known = {feature.name for feature in schema}
    called = {name: past.called(contract.former, name, known) for name in features}
    return {name if called[name] in features else called[name]: value for name, value in features.items()}


def field_problems(schema: Sequence[Feature], features: dict[str, Value], contract: Contract) -> Iterator[FieldProblem]:
    """What is wrong with a what-if's features: numbers keep the bounds of their columns."""
    known = [feature.name for feature in schema]
    for name in sorted(features.keys() - set(known)):
        yield FieldProblem(f"features.{name}", f"the champion has no such feature: {_known(name, known)}")
    for feature in schema:
        given = feature.name in features or not feature.must_be_given
        if (message := _wrong(feature, features.get(feature.name), contract) if given else MUST_BE_GIVEN) is not None:
            yield FieldProblem(f"features.{feature.name}", message)


def _known(name: str, known: Sequence[str]) -> str:
    """What the champion has instead of a feature that it does not know."""
    if near := difflib.get_close_matches(name, known, 1):
        return f"did you mean {near[0]}? /model names all"
    return f"it has {', '.join(known[:_SHOWN])}{', ...; /model names all' if len(known) > _SHOWN else ''}"


def _wrong(feature: Feature, value: Value, contract: Contract) -> str | None:
    if value is None:
        return None if feature.nullable else MUST_BE_GIVEN
    if feature.kind == "category":
        if feature.open:
            return None if isinstance(value, str) else "must be text"
        return None if value in feature.categories else f"must be one of {', '.join(feature.categories)}"
    if feature.kind == "boolean":
        return None if isinstance(value, bool) else "must be true or false"
    if isinstance(value, bool | str) or not math.isfinite(value):
        return "must be a number"
    column = contract.columns.get(contract.former.get(feature.name, feature.name))
    return _out_of_bounds(column, value) if column else None


def _out_of_bounds(column: Column, value: float) -> str | None:
    low, high = column.minimum, column.maximum
    if (low is None or value >= low) and (high is None or value <= high):
        return None
    if low is None or high is None:
        return f"must not be {column.outside}"
    return f"must be between {low:g} and {high:g}"
