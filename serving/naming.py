"""Naming: the messages that name a customer, by what the company calls its key.

Here: the JSON names and the example of such messages, and from what was asked to the key as it is stored. Not here:
what the messages say (`messages`).
"""

from __future__ import annotations

import re
from typing import Annotated, Any, TypeVar, cast

import msgspec
from msgspec import Meta

from churn_platform.company.declaration import LONGEST_KEY, Kind, Role
from churn_platform.contracts import Contract
from serving import messages
from serving.messages import CustomerId, FeatureValue
from serving.prediction_log import Logged

_Message = TypeVar("_Message", bound=msgspec.Struct)
_WHOLE = re.compile(r"(-?[0-9]+)(\.0*)?")


class Naming:
    """One company's messages about customers: `user_id` and `user_ids`, say, where they have `customer` and more."""

    def __init__(self, contract: Contract) -> None:
        self._whole = contract.customers.key.whole
        self._names = {"customer": contract.key, "customers": f"{contract.key}s"}
        self.key = self.answered(contract.example)
        asked = _asked(self._whole, self.key)
        answered = int if self._whole else str
        self.predict_request = self._named(messages.PredictRequest, customer=asked)
        several = Annotated[list[asked], Meta(min_length=1, max_length=messages.BATCH)]  # type: ignore[valid-type]
        self.batch_request = self._named(messages.BatchRequest, customers=several)
        self.prediction = self._named(messages.Prediction, customer=answered)
        self.explanation = self._named(messages.Explanation, customer=answered)
        self.predicted = self._named(messages.Predicted, customer=answered)
        self.no_prediction = self._named(messages.NoPrediction, customer=asked)
        results = list[self.predicted | self.no_prediction]  # type: ignore[name-defined]
        self.batch_answer = self._named(messages.BatchAnswer, results=results)
        self.customer_features = self._named(messages.CustomerFeatures, customer=answered)
        self.some_customers = self._named(messages.SomeCustomers, customers=tuple[answered, ...])  # type: ignore[valid-type]
        self.logged = self._named(Logged)
        self.example = {contract.key: self.key}
        self.examples = {f"{contract.key}s": [self.key]}
        self.what_if = {"features": _some_features(contract)}

    def _named(self, kind: type[_Message], **types: Any) -> type[_Message]:
        """The same message, with the company's names."""
        found = [
            (field.name, types.get(field.name, field.type), field.default) if field.default is not msgspec.NODEFAULT
            else (field.name, types.get(field.name, field.type))
            for field in msgspec.structs.fields(kind)
        ]  # fmt: skip
        made = msgspec.defstruct(
            kind.__name__, found, bases=(kind,), rename=self._names, frozen=True, namespace={"__doc__": kind.__doc__}
        )
        return cast(type[_Message], made)

    def asked(self, customer: CustomerId) -> str:
        """The key as it is stored: of a whole number its digits, however it was asked."""
        text = str(customer)
        if self._whole and (found := _WHOLE.fullmatch(text)):
            return str(int(found[1]))
        return text

    def answered(self, customer: str) -> CustomerId:
        """The key as the company has it: a number where its keys are whole numbers."""
        return int(customer) if self._whole and _WHOLE.fullmatch(customer) else customer


def _asked(whole: bool, example: CustomerId) -> Any:
    """The type of a key that is asked for."""
    text = Annotated[str, Meta(min_length=1, max_length=LONGEST_KEY, description="The customer.", examples=[example])]
    return Annotated[int, Meta(description="The customer.", examples=[example])] | text if whole else text


def _some_features(contract: Contract) -> dict[str, FeatureValue]:
    """Two features of a customer who might exist: a category and a number, as far as there are any."""
    found: dict[str, FeatureValue] = {}
    columns = [column for table in contract.states for column in table.with_role(Role.FEATURE)]
    if category := next((c for c in columns if c.allowed), None):
        found[category.name] = category.allowed[-1]
    if number := next((c for c in columns if c.name == contract.fee or c.kind is Kind.NUMBER), None):
        low, high = number.minimum or 0, number.maximum
        found[number.name] = low + 29.5 if high is None or low + 29.5 <= high else high
    return found
