"""What reasons cost, and how near they are to the exact ones: `python -m benchmarks.reasons`.

Prints one JSON object about the champion and the newest month of CHURN_HOME: seconds of processor and of time for 1,000
customers, by the members' tables and by the ONNX model, which all versions before 0.2 need; the same for one customer;
the largest error of the sum over all customers; and the strongest three parts against a reference of 2,048 orders for
each background customer, for CUSTOMERS customers. Compare ratios within one run.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable

import numpy as np

from churn_platform.bundle import Bundle
from churn_platform.home import Home
from churn_platform.reasons import walks
from churn_platform.reasons.shapley import background, contributions, log_odds
from churn_platform.reasons.tabulated import Tabulated
from churn_platform.settings import begin
from churn_platform.tables import scoring
from churn_platform.tables.names import FEATURES

CUSTOMERS = 100
ORDERS = 2048
_PAIRS_AT_ONCE = 8


def timed(work: Callable[[], object], customers: int) -> dict[str, float]:
    """What work for so many customers costs for 1,000, in seconds."""
    began, used = time.perf_counter(), time.process_time()
    work()
    share = 1000 / customers
    return {"cpu": (time.process_time() - used) * share, "wall": (time.perf_counter() - began) * share}


def by_onnx(bundle: Bundle, encoded: np.ndarray) -> np.ndarray:
    """The parts as the ONNX model gives them, one pair of orders for each background customer."""
    compared = background(bundle)
    orders = walks.orders(tuple(feature.name for feature in bundle.schema), len(compared))
    return walks.contributions(lambda rows: log_odds(bundle.score(rows)), encoded, compared, orders)


def reference(bundle: Bundle, encoded: np.ndarray) -> np.ndarray:
    """The parts by ORDERS random orders for each background customer."""
    compared, rng = background(bundle), np.random.default_rng(1)
    total, rounds = np.zeros(encoded.shape), ORDERS // 2 // _PAIRS_AT_ONCE
    for _ in range(rounds):
        drawn = [rng.permutation(encoded.shape[1]) for _ in range(len(compared) * _PAIRS_AT_ONCE)]
        orders = np.array([order for pair in drawn for order in (pair, pair[::-1])])
        total += Tabulated(bundle.members, compared, orders).contributions(encoded)
    return total / rounds


def main() -> None:
    home = Home(begin())
    champion = home.registry.champion()
    if champion is None:
        sys.exit("there is no champion: churn retrain")
    bundle = home.registry.bundle(champion)
    if not bundle.members:
        sys.exit(f"version {champion.number} has no members to compare with: churn retrain")
    _, encoded = scoring.scored(home.lake, home.lake.months(FEATURES)[-1], bundle)
    some = encoded[np.random.default_rng(0).permutation(len(encoded))][:1000]
    contributions(bundle, some[:1])
    costs = {
        "tables": timed(lambda: contributions(bundle, some), len(some)),
        "onnx": timed(lambda: by_onnx(bundle, some[:200]), len(some[:200])),
        "one_customer": timed(lambda: contributions(bundle, some[:1]), 1000),
    }
    found = contributions(bundle, encoded)
    served = bundle.score(encoded).astype(np.float64)
    few = some[:CUSTOMERS]
    exact, sampled = reference(bundle, few), contributions(bundle, few).parts
    top, told = (np.argsort(-np.abs(parts), axis=1, kind="stable")[:, :3] for parts in (exact, sampled))
    errors = np.abs(np.take_along_axis(sampled - exact, top, axis=1))
    report = {
        "seconds_for_1000": costs,
        "onnx_over_tables_cpu": costs["onnx"]["cpu"] / costs["tables"]["cpu"],
        "features": encoded.shape[1],
        "largest_error_of_sum": float(
            np.abs(found.base + found.parts.sum(axis=1) - np.log(served / (1 - served))).max()
        ),
        "top_three": {
            "largest_error": float(errors.max()),
            "mean_error": float(errors.mean()),
            "same_three": float(np.mean([set(a) == set(b) for a, b in zip(top, told, strict=True)])),
        },
    }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
