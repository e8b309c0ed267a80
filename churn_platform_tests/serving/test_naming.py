"""Naming: what the API calls a customer's key, and how it takes one."""

from __future__ import annotations

import msgspec
import pytest

from churn_platform.company.declaration import LONGEST_KEY
from churn_platform.company.reading import parse
from churn_platform.contracts import Contract
from churn_platform_tests import foreign
from churn_platform_tests.streamflow import STREAMFLOW
from serving.naming import Naming


@pytest.fixture(scope="module")
def bank() -> Naming:
    return Naming(Contract(parse(foreign.BANK, "bank.toml")))


@pytest.fixture(scope="module")
def streamflow() -> Naming:
    return Naming(STREAMFLOW)


def test_a_key_is_called_what_the_company_calls_it(bank: Naming, streamflow: Naming) -> None:
    asked = msgspec.json.decode(b'{"CustomerIds": [15634602, "15634603.0"]}', type=bank.batch_request)
    assert [bank.asked(customer) for customer in asked.customers] == ["15634602", "15634603"]
    assert msgspec.json.encode(bank.some_customers("2024-01-31", (1, 2))) == (
        b'{"as_of":"2024-01-31","CustomerIds":[1,2]}'
    )
    assert msgspec.json.decode(b'{"user_id": "a"}', type=streamflow.predict_request).customer == "a"


@pytest.mark.parametrize(
    "body", [b'{"user_id": 3}', b'{"customer": "a"}', b'{"user_id": ""}', b'{"user_id": "a", "x": 1}']
)
def test_text_keys_are_text_alone(body: bytes, streamflow: Naming) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(body, type=streamflow.predict_request)


def test_any_key_that_may_be_delivered_may_be_asked_for(streamflow: Naming) -> None:
    longest = "é" * LONGEST_KEY
    body = msgspec.json.encode({"user_id": longest})
    assert msgspec.json.decode(body, type=streamflow.predict_request).customer == longest
    with pytest.raises(msgspec.ValidationError, match=f"length <= {LONGEST_KEY}"):
        msgspec.json.decode(msgspec.json.encode({"user_id": f"{longest}é"}), type=streamflow.predict_request)


def test_whole_keys_are_answered_as_numbers(bank: Naming, streamflow: Naming) -> None:
    assert (bank.answered("15634602"), bank.answered("x")) == (15634602, "x")
    assert (streamflow.answered("15634602"), streamflow.asked("0015.0")) == ("15634602", "0015.0")


def test_the_examples_are_the_company_s(bank: Naming, streamflow: Naming) -> None:
    assert streamflow.example == {"user_id": "7590-VHVEG"}
    assert streamflow.what_if == {"features": {"contract_type": "Two year", "monthly_fee": 29.5}}
    assert bank.example == {"CustomerId": 1}
    assert bank.what_if == {"features": {"Balance": 29.5}}
