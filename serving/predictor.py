"""The predictor: from a customer or from features to an answer.

Here: reading champion and features once per request, counting and logging predictions. Not here: HTTP (`routes`), the
scoring itself (`scoring`), where champion and features come from (`champion`, `features`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, TypeVar, cast

import msgspec

from churn_platform.bundle import Value
from churn_platform.contracts import Contract
from churn_platform.online.types import Row, StoreUnavailableError
from serving.champion import Champion, Champions
from serving.explaining import Explainer
from serving.features import OnlineFeatures
from serving.messages import (
    CustomerFeatures,
    CustomerId,
    Explanation,
    FeatureValue,
    NoPrediction,
    Predicted,
    Prediction,
    SomeCustomers,
    WhatIf,
)
from serving.metrics import Metrics
from serving.naming import Naming
from serving.prediction_log import PredictionLog
from serving.problems import ProblemError, bad_request, no_features
from serving.scoring import as_learned, by_present_names, features_of, field_problems, score_features

_CHUNK = 50
"""Customers of a batch that are scored before other requests get their turn: about a millisecond."""

_encode = msgspec.json.Encoder().encode

_Answer = TypeVar("_Answer", Prediction, Predicted)
_Features = dict[str, FeatureValue]


class Predictor:
    """Answers predictions with the current champion and features."""

    def __init__(
        self,
        contract: Contract,
        naming: Naming,
        champions: Champions,
        features: OnlineFeatures,
        log: PredictionLog,
        metrics: Metrics,
    ) -> None:
        self._contract = contract
        self._naming = naming
        self._champions = champions
        self._features = features
        self._log = log
        self._metrics = metrics
        self._explainer = Explainer()
        self._count = lru_cache(16)(self._counter)

    def close(self) -> None:
        """Explain nobody any more."""
        self._explainer.close()

    def champion(self) -> Champion:
        """The champion. Raises ProblemError 503."""
        champion = self._champions.current
        if champion is None:
            raise not_ready(self._champions.problem)
        return champion

    async def features(self, asked: CustomerId) -> CustomerFeatures:
        """What the online store holds of a customer. Raises ProblemError 404 and 503."""
        customer = self._naming.asked(asked)
        row = await self._row(customer)
        if row is None:
            raise _unknown(customer)
        found = by_present_names(features_of(row), self._contract)
        return self._naming.customer_features(self._naming.answered(customer), row.schema.as_of, found)

    async def some_customers(self, count: int) -> SomeCustomers:
        """The first customers of the newest publication. Raises ProblemError 503."""
        if (publication := self._features.publication) is None:
            raise not_ready(self._features.problem)
        try:
            found = await self._features.reader.first(count)
        except StoreUnavailableError as error:
            raise not_ready(f"features: {error}") from error
        return self._naming.some_customers(publication.as_of, tuple(map(self._naming.answered, found)))

    async def predict(self, asked: CustomerId) -> bytes:
        """One customer's Prediction, as JSON. Raises ProblemError 404 and 503."""
        customer = self._naming.asked(asked)
        row = await self._row(customer)
        champion = self.champion()
        if row is None:
            raise _unknown(customer)
        return _encode(self._answer(self._naming.prediction, champion, customer, row, "/predict"))

    async def predict_batch(self, asked: Sequence[CustomerId]) -> bytes:
        """A BatchAnswer, as JSON: one champion and one publication for all. Raises ProblemError 503."""
        self._require_features()
        customers = [self._naming.asked(customer) for customer in asked]
        try:
            rows = await self._features.reader.get_many(list(dict.fromkeys(customers)))
        except StoreUnavailableError as error:
            raise not_ready(f"features: {error}") from error
        champion = self.champion()
        results: list[Predicted | NoPrediction] = []
        for start in range(0, len(customers), _CHUNK):
            for customer in customers[start : start + _CHUNK]:
                row = rows.get(customer)
                if row is None:
                    known = self._naming.answered(customer)
                    results.append(self._naming.no_prediction(known, "missing_features", no_features(customer)))
                else:
                    results.append(self._answer(self._naming.predicted, champion, customer, row, "/predict/batch"))
            await asyncio.sleep(0)
        return _encode(self._naming.batch_answer(champion.version, results))

    async def explain(self, asked: CustomerId) -> Explanation:
        """Why one customer's risk is what it is. Raises ProblemError 404 and 503."""
        customer = self._naming.asked(asked)
        row = await self._row(customer)
        champion = self.champion()
        if row is None:
            raise _unknown(customer)
        self._explainer.require_room()  # before the answer is counted and logged
        answer = self._answer(self._naming.prediction, champion, customer, row, "/explain")
        used = msgspec.json.decode(cast(msgspec.Raw, answer.features_used), type=_Features)
        found = await self._explainer.explain(champion.bundle, used)
        return self._naming.explanation(
            customer=answer.customer,
            prediction=answer.prediction,
            probability=answer.probability,
            model_version=answer.model_version,
            as_of=answer.as_of,
            timestamp=answer.timestamp,
            log_odds=found.log_odds,
            base_log_odds=found.base_log_odds,
            compared_with=found.compared_with,
            reasons=found.reasons,
        )

    def what_if(self, features: dict[str, Value]) -> WhatIf:
        """The risk with these features. Raises ProblemError 400 and 503."""
        champion = self.champion()
        features = as_learned(champion.bundle.schema, features, self._contract)
        if problems := list(field_problems(champion.bundle.schema, features, self._contract)):
            raise bad_request(*problems)
        used = {feature.name: features.get(feature.name) for feature in champion.bundle.schema}
        scored = score_features(champion.bundle, used)
        now = datetime.now(UTC)
        self._count(champion.version, scored.prediction).inc()
        self._log.add(self._naming.logged(now, None, champion.version, None, scored.probability, "/predict/features"))
        return WhatIf(
            prediction=scored.prediction,
            probability=scored.probability,
            model_version=champion.version,
            features_used=used,
            timestamp=now,
        )

    async def _row(self, customer: str) -> Row | None:
        self._require_features()
        try:
            return await self._features.reader.get(customer)
        except StoreUnavailableError as error:
            raise not_ready(f"features: {error}") from error

    def _require_features(self) -> None:
        if self._features.publication is None:
            raise not_ready(self._features.problem)

    def _answer(self, kind: type[_Answer], champion: Champion, customer: str, row: Row, route: str) -> _Answer:
        """One customer's answer of a kind, counted and logged."""
        probability, prediction, used = champion.score(row)
        now, known = datetime.now(UTC), self._naming.answered(customer)
        self._count(champion.version, prediction).inc()
        self._log.add(self._naming.logged(now, known, champion.version, row.schema.as_of, probability, route))
        return kind(
            customer=known,
            prediction=prediction,
            probability=probability,
            model_version=champion.version,
            as_of=row.schema.as_of,
            features_used=cast(_Features, used),  # they are JSON already: decoding them to encode them again is saved
            timestamp=now,
        )

    def _counter(self, version: int, prediction: int) -> Any:
        return self._metrics.predictions.labels(str(version), str(prediction))


def not_ready(*missing: str | None) -> ProblemError:
    """503: the service lacks these at present."""
    known = tuple(item for item in missing if item is not None) or ("unknown",)
    return ProblemError(503, "not_ready", "; ".join(known), {"Retry-After": "2"}, missing=known)


def _unknown(customer: str) -> ProblemError:
    return ProblemError(404, "missing_features", no_features(customer))
