"""Messages: the bodies that the API accepts and returns. The OpenAPI document is made from them.

Here: types and their meanings. Not here: errors (`problems`), what is done with a message, or what the company calls
the customer's key (`naming`).
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

BATCH = 1000
"""The most customers in one batch."""

FeatureValue = float | bool | str | None
"""A feature's value; JSON does not distinguish 1 from 1.0."""

CustomerId = int | str
"""A customer's key: text, or a whole number where the company's keys are."""
Features = Annotated[
    dict[str, FeatureValue],
    Meta(description="Values by feature name; null is unknown."),
]
Probability = Annotated[float, Meta(ge=0, le=1, description="The probability that the customer churns.")]
Call = Annotated[Literal[0, 1], Meta(description="1 where the probability reaches the model's threshold.")]
ModelVersion = Annotated[int, Meta(description="The registry's version of the model that answered.", examples=[3])]
AsOf = Annotated[str, Meta(description="The day that the features describe.", examples=["2024-02-29"])]
FeaturesUsed = Annotated[dict[str, FeatureValue], Meta(description="The features that the model was given.")]
ComparedWith = Literal["training customers", "golden rows"]
ShockKind = Literal["price_rise", "service_outage", "new_plan", "covariate_only"]
OldShock = Annotated[
    ShockKind | None,
    Meta(
        description="Deprecated: the old name of `shock`.",
        extra_json_schema={"extra": {"deprecated": True}},  # where Litestar looks for what goes into OpenAPI's schema
    ),
]


class PredictRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One customer."""

    customer: CustomerId


class BatchRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Several customers; one may be asked for more than once."""

    customers: Annotated[list[CustomerId], Meta(min_length=1, max_length=BATCH)]


class WhatIfRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The features of a customer, who need not exist."""

    features: Features


class Prediction(msgspec.Struct, frozen=True):
    """One customer's risk."""

    customer: CustomerId
    prediction: Call
    probability: Probability
    model_version: ModelVersion
    as_of: AsOf
    features_used: FeaturesUsed
    timestamp: datetime


class Predicted(Prediction, frozen=True, tag_field="kind", tag="prediction"):
    """One customer's risk, in a batch."""


class NoPrediction(msgspec.Struct, frozen=True, tag_field="kind", tag="error"):
    """Why one customer of a batch has no prediction."""

    customer: CustomerId
    error: Literal["missing_features"]
    detail: str


class BatchAnswer(msgspec.Struct, frozen=True):
    """One prediction or one error per customer, in the order asked, all by the same version of the model."""

    model_version: ModelVersion
    results: list[Predicted | NoPrediction]


class ExplainedFeature(msgspec.Struct, frozen=True):
    """One feature's part in a customer's risk."""

    feature: str
    value: FeatureValue
    contribution: Annotated[
        float, Meta(description="In log-odds: above 0 where the value raises the risk.", examples=[0.84])
    ]
    words: Annotated[str, Meta(description="The value in a few words.", examples=["month-to-month contract"])]
    sentence: Annotated[str, Meta(description="The same with the feature's meaning.")]


class Explanation(msgspec.Struct, frozen=True):
    """Why one customer's risk is what it is.

    `base_log_odds` plus all contributions is `log_odds`, that of the probability, to within 0.0001.
    """

    customer: CustomerId
    prediction: Call
    probability: Probability
    model_version: ModelVersion
    as_of: AsOf
    log_odds: Annotated[float, Meta(description="log(p / (1 - p)) of the probability p, at most 13.8 from 0.")]
    base_log_odds: Annotated[float, Meta(description="The mean of those whom the customer is compared with.")]
    compared_with: Annotated[
        ComparedWith,
        Meta(description="`golden rows` for versions trained before 0.2, which favour what is rare."),
    ]
    reasons: Annotated[
        tuple[ExplainedFeature, ...], Meta(description="Every feature with an effect, the strongest first.")
    ]
    timestamp: datetime


class WhatIf(msgspec.Struct, frozen=True):
    """The risk that a customer with these features would have."""

    prediction: Call
    probability: Probability
    model_version: ModelVersion
    features_used: FeaturesUsed
    timestamp: datetime


class CustomerFeatures(msgspec.Struct, frozen=True):
    """What the online store holds of one customer."""

    customer: CustomerId
    as_of: AsOf
    features: FeaturesUsed


class SomeCustomers(msgspec.Struct, frozen=True):
    """A few customers of the newest published month, to try other routes with."""

    as_of: AsOf
    customers: tuple[CustomerId, ...]


class Health(msgspec.Struct, frozen=True):
    """The process is alive."""

    status: Literal["ok"]
    timestamp: datetime
    version: Annotated[str, Meta(description="The program's version.")]


class Ready(msgspec.Struct, frozen=True):
    """Predictions are answered. `warnings` say what is wrong all the same, such as a refused bundle, or paused."""

    status: Literal["ready"]
    model_version: ModelVersion
    as_of: AsOf
    customers: int
    warnings: list[str]


class Model(msgspec.Struct, frozen=True):
    """The champion."""

    version: ModelVersion
    month: Annotated[str, Meta(description="The newest month that it was trained on.", examples=["2024-02"])]
    months: Annotated[tuple[str, ...], Meta(description="All months that it was trained on.")]
    estimator: str
    threshold: Annotated[float, Meta(description="From this probability on, the prediction is 1.")]
    metrics: dict[str, float]
    features: Annotated[tuple[str, ...], Meta(description="Its inputs, in order.")]
    bundle_sha256: str
    served_since: datetime


class GenerateRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The synthetic month to write."""

    samples: Annotated[int, Meta(ge=100, le=10_000, description="About how many customers.")]
    shock: Annotated[ShockKind | None, Meta(description="What happens from that month on; null for nothing.")] = None
    drift: OldShock = None

    def __post_init__(self) -> None:
        """Refuse two different answers to one question."""
        if self.shock is not None and self.drift is not None and self.shock != self.drift:
            raise ValueError("field `drift` is the old name of `shock`, and the two differ: leave it out")

    @property
    def wanted(self) -> ShockKind | None:
        """The shock, by whichever name it was given."""
        return self.shock or self.drift


class Generated(msgspec.Struct, frozen=True):
    """The drop that was written. `rows` counts each table's rows."""

    month: Annotated[str, Meta(examples=["2024-03"])]
    folder: Annotated[str, Meta(examples=["month_002"])]
    rows: dict[str, int]
    shock: ShockKind | None = None
    drift: OldShock = None


class RetrainRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The month to retrain on; by default the newest whose labels have landed."""

    month: Annotated[str, Meta(pattern=r"^\d{4}-(0[1-9]|1[0-2])$", examples=["2024-02"])] | None = None


class RetrainStarted(msgspec.Struct, frozen=True):
    """The run that was started, and where to watch it."""

    run_id: str
    url: str
    month: str


class EraseRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whom to erase, and why: the receipt keeps the reason for ever, so it must not name them."""

    customers: Annotated[list[CustomerId], Meta(min_length=1, max_length=BATCH)]
    reason: Annotated[str, Meta(min_length=1, max_length=500, examples=["asked by letter"])]


class ErasureStarted(msgspec.Struct, frozen=True):
    """The run that was started, and where to watch it."""

    run_id: str
    url: str


class ErasureState(msgspec.Struct, frozen=True):
    """An erasure's state. It is done where it is finished and its status is `success`; `churn receipts` tells of it."""

    run_id: str
    url: str
    status: Annotated[str, Meta(description="Dagster's run status, in lower case.", examples=["success"])]
    finished: bool


class RetrainState(msgspec.Struct, frozen=True):
    """A retraining's state. The last four are null until the candidate has been evaluated.

    `metrics` holds `auc`, and `champion_auc` where there was a champion to compare with.
    """

    run_id: str
    url: str
    month: str | None
    status: Annotated[str, Meta(description="Dagster's run status, in lower case.", examples=["success"])]
    finished: bool
    version: int | None = None
    metrics: dict[str, float] | None = None
    verdict: Literal["promote", "keep"] | None = None
    decision: str | None = None
