"""The synthetic company: its customers, and what a month does to them.

Here: what customers are like, how they sign up, watch, pay and ask for support. Not here: who churns and why
(`hazard`), or the drops that the company delivers (`drops`).

Customers are one NumPy structured array, one record each, so that a month is a few vectorised steps. In each segment
the company wins as many customers as it loses, which keeps quiet months alike. Shares, fees and hours follow a public
data set of 7,043 customers of a telecommunications company, which real drops resemble.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from churn_platform.contracts import streamflow
from churn_platform.months import Month
from churn_platform.simulation.hazard import Shock, ShockKind, churn_probability, in_force

_COLUMNS = streamflow().columns
GENDERS = _COLUMNS["user_gender"].allowed
CONTRACTS = _COLUMNS["contract_type"].allowed
NETS = _COLUMNS["net_service"].allowed
NO_INTERNET = NETS.index("No")


@dataclass(frozen=True)
class _Segment:
    """The customers of one net_service: their share, fee in dollars before extras, mean watch hours, contracts."""

    share: float
    fee: float
    watch: float
    contracts: Mapping[str, float]


_SEGMENTS = {
    "DSL": _Segment(0.344, 39, 28.5, {"Month-to-month": 0.505, "One year": 0.235, "Two year": 0.26}),
    "Fiber optic": _Segment(0.439, 64, 33.5, {"Month-to-month": 0.687, "One year": 0.174, "Two year": 0.139}),
    "No": _Segment(0.217, 20, 23, {"Month-to-month": 0.344, "One year": 0.239, "Two year": 0.417}),
}
"""What makes a segment, by the contract's net_service."""

FLAGS = {"user_is_senior": 0.16, "has_family": 0.48, "has_dependents": 0.3, "paperless_billing": 0.59}
STREAMS = {"plan_stream_tv": 0.49, "plan_stream_movies": 0.49}
ADD_ONS = {"add_on_security": 0.37, "add_on_backup": 0.44, "add_on_device_protect": 0.44, "add_on_support": 0.37}
"""Shares of the customers; for streams and add-ons, of those with internet."""

WARM_UP = 144
"""How many months a company lives before its first drop."""

PILOT = 10_000
"""At most this many customers live through the warm-up; a larger company starts with copies of them."""

_MOOD_SPREAD, _MOOD_MEMORY = 4.5, 0.6  # hours, and the autocorrelation from month to month

_CUSTOMER = np.dtype(
    [
        ("serial", "i8"),
        # What makes a segment: a signup takes these from someone who left. Categories are positions in the contract.
        *((name, "i1") for name in ("user_gender", "net_service", "contract_type")),
        *((name, "?") for name in (*FLAGS, *STREAMS, *ADD_ONS)),
        # What makes a person: drawn at signup. `taste` is in hours above the segment's mean.
        ("signup_date", "M8[D]"),
        *((name, "f8") for name in ("list_fee", "taste", "session_mins", "device_share", "skip_rate", "stall_rate")),
        # What the months change. `mood` is in hours; failed, tickets and hours of this month and the two before.
        *((name, "i4") for name in ("months_active", "devices", "skips", "rebuffers")),
        *((name, "f8") for name in ("fee", "total_paid", "mood", "watch", "watch_before", "session")),
        *((name, kind, 3) for name, kind in (("failed", "i4"), ("tickets", "i4"), ("ticket_hours", "f8"))),
        ("churns", "?"),
    ]
)


class _Purpose(IntEnum):
    """What random numbers are for: each purpose has a stream of its own in each month."""

    FOUNDERS, SIGNUPS, PLANS, USAGE, PAYMENTS, SUPPORT, CHURN = range(7)


class Company:
    """A company at the end of the month before `month`, after `step` months of life.

    `people` holds one record for each customer; `serials` is how many serial numbers have been given out, none twice.
    """

    def __init__(self, customers: int, seed: int, month: Month) -> None:
        self.customers, self.seed, self.month, self.step, self.serials = customers, seed, month, 0, 0
        rng = self.stream(_Purpose.FOUNDERS)
        people = np.zeros(customers, _CUSTOMER)
        people["user_gender"] = rng.integers(len(GENDERS), size=customers)
        people["net_service"] = rng.choice(len(NETS), customers, p=[_SEGMENTS[net].share for net in NETS])
        for code, net in enumerate(NETS):
            members = people["net_service"] == code
            shares = [_SEGMENTS[net].contracts[contract] for contract in CONTRACTS]
            people["contract_type"][members] = rng.choice(len(CONTRACTS), members.sum(), p=shares)
        for name, share in (FLAGS | STREAMS | ADD_ONS).items():
            people[name] = rng.random(customers) < share
        for name in (*STREAMS, *ADD_ONS):
            people[name] &= people["net_service"] != NO_INTERNET
        people["churns"] = True  # so that the first month replaces them by signups of the same segments
        self.people = people

    @classmethod
    def settled(cls, customers: int, seed: int, month: Month, shocks: Sequence[Shock]) -> Company:
        """A company that has lived `WARM_UP` months and will have exactly `customers` customers in `month`."""
        company = cls(min(customers, PILOT), seed, month - WARM_UP)
        for _ in range(WARM_UP):
            company.live(shocks)
        company.people = np.resize(company.people, customers)
        company.people["serial"] = np.arange(customers)
        company.customers = company.serials = customers
        return company

    def stream(self, purpose: _Purpose) -> np.random.Generator:
        """This month's random numbers for a purpose."""
        return np.random.default_rng([self.seed, self.step, purpose])

    def live(self, shocks: Sequence[Shock]) -> np.ndarray:
        """Live one month: leavers go, signups come, and all watch, pay, ask for support and decide whether to churn.

        Returns the probability, float64 [n], that each customer decides to.
        """
        kinds = in_force(shocks, self.month)
        self.people = np.concatenate([self.people[~self.people["churns"]], self._signups()])
        if ShockKind.NEW_PLAN in kinds:
            self._take_new_plan()
        self._watch(1.8 if ShockKind.SERVICE_OUTAGE in kinds else 1)
        self._pay(1.17 if ShockKind.PRICE_RISE in kinds else 1)
        self._ask(1.8 if ShockKind.SERVICE_OUTAGE in kinds else 1)
        probability = churn_probability(self._covariates(), kinds)
        self.people["churns"] = self.stream(_Purpose.CHURN).random(self.people.size) < probability
        self.month, self.step = self.month + 1, self.step + 1
        return probability

    def _signups(self) -> np.ndarray:
        """About as many as left, from the same segments: copies of the leavers made into new people."""
        rng = self.stream(_Purpose.SIGNUPS)
        leavers = self.people[self.people["churns"]]
        room = max(self.customers - self.people.size + leavers.size, 0)
        count = room if self.step <= WARM_UP else int(rng.poisson(room))  # exact up to the first drop
        people = np.resize(rng.permutation(leavers), count)
        people["serial"] = np.arange(self.serials, self.serials + count)
        self.serials += count
        days = rng.integers(self.month.as_of.day, size=count)
        people["signup_date"] = np.datetime64(f"{self.month}-01") + days
        extras = 10 * sum(people[name] for name in STREAMS) + 5 * sum(people[name] for name in ADD_ONS)
        base = np.array([_SEGMENTS[net].fee for net in NETS])[people["net_service"]]
        people["list_fee"] = np.maximum(base + extras + rng.normal(0, 1, count), 18)
        people["taste"] = rng.normal(0, 3.5, count)
        people["session_mins"] = rng.lognormal(np.log(29), 0.25, count)
        people["device_share"] = rng.random(count)
        people["skip_rate"] = rng.gamma(8, 5 / 8, count)
        people["stall_rate"] = rng.gamma(5, 2.3 / 5, count)
        people["mood"] = rng.normal(0, _MOOD_SPREAD, count)
        for name in ("months_active", "total_paid", "failed", "tickets", "ticket_hours"):
            people[name] = 0
        return people

    def _take_new_plan(self) -> None:
        """Half of the signups, and some of the others each month, take the bundle: all streams, one year."""
        people = self.people
        chance = np.where(people["months_active"] == 0, 0.5, 0.05) * (people["net_service"] != NO_INTERNET)
        takes = self.stream(_Purpose.PLANS).random(people.size) < chance
        people["contract_type"][takes] = CONTRACTS.index("One year")
        for name in STREAMS:
            people[name][takes] = True

    def _watch(self, stalls: float) -> None:
        people, rng = self.people, self.stream(_Purpose.USAGE)
        size = people.size
        surprise = rng.normal(0, _MOOD_SPREAD * np.sqrt(1 - _MOOD_MEMORY**2), size)
        people["mood"] = _MOOD_MEMORY * people["mood"] + surprise
        usual = np.array([_SEGMENTS[net].watch for net in NETS])[people["net_service"]] + people["taste"]
        watch = np.maximum(usual + people["mood"], 0)
        people["watch_before"] = np.where(people["months_active"] == 0, watch, people["watch"])
        people["watch"] = watch
        people["session"] = people["session_mins"] * rng.lognormal(0, 0.1, size)
        people["devices"] = 1 + rng.binomial(2, people["device_share"])
        people["skips"] = rng.poisson(people["skip_rate"])
        people["rebuffers"] = rng.poisson(people["stall_rate"] * stalls)

    def _pay(self, price_level: float) -> None:
        people = self.people
        people["months_active"] += 1  # the month of the signup is the first
        people["fee"] = np.round(people["list_fee"] * price_level, 2)
        people["total_paid"] += people["fee"]
        _roll(people["failed"], self.stream(_Purpose.PAYMENTS).poisson(0.065, people.size))

    def _ask(self, trouble: float) -> None:
        people, rng = self.people, self.stream(_Purpose.SUPPORT)
        tickets = rng.poisson(0.12 * trouble, people.size)
        _roll(people["tickets"], tickets)
        _roll(people["ticket_hours"], rng.gamma(6.5 * tickets, 10 / 6.5))  # 10 hours each, and 0 for none

    def _covariates(self) -> dict[str, np.ndarray]:
        people = self.people
        return {
            "one_year": people["contract_type"] == CONTRACTS.index("One year"),
            "two_year": people["contract_type"] == CONTRACTS.index("Two year"),
            "fiber": people["net_service"] == NETS.index("Fiber optic"),
            "no_internet": people["net_service"] == NO_INTERNET,
            "paperless_billing": people["paperless_billing"],
            "has_dependents": people["has_dependents"],
            "log_tenure": np.log(np.minimum(people["months_active"], 24)),
            "fee": (people["fee"] - 65) / 10,
            "watch": (people["watch"] - 30) / 10,
            "watch_fall": np.maximum(people["watch_before"] - people["watch"], 0) / 10,
            "rebuffers": people["rebuffers"] - 2,
            "failed_payments": people["failed"].sum(1),
            "new_failed_payments": people["failed"][:, 0],
            "tickets": people["tickets"].sum(1),
        }


def _roll(history: np.ndarray, newest: np.ndarray) -> None:
    """Put this month's counts [n] in front of a history [n, 3], in place; the oldest drop out."""
    history[:, 1:] = history[:, :-1].copy()
    history[:, 0] = newest
