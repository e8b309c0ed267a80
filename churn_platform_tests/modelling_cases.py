"""Customers to train on in tests: a schema with every kind of feature, and labels that follow from some of them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from churn_platform.bundle import Feature

SCHEMA = (
    Feature("tenure", "number", "Months of tenure.", False),
    Feature("fee", "number", "The fee per month, in dollars.", True),
    Feature("streams", "boolean", "Streams television.", True),
    Feature("contract", "category", "How long the contract binds.", True, ("Monthly", "Yearly", "Two years")),
    Feature("constant", "number", "The same for everyone.", False),
    Feature("never_known", "number", "Nobody delivers it.", True),
    Feature("never_told", "boolean", "Nobody tells it.", True),
    Feature("internet", "category", "The internet connection.", True, ("DSL", "Fiber")),
)


def customers(
    count: int, month: str = "2024-01", seed: int = 0, weights: tuple[float, float] = (2.0, 1.0)
) -> pd.DataFrame:
    """One month of customers. `weights` are what a monthly contract and short tenure add to the log-odds of churn.

    The same seed gives the same customers and features in any month; labels differ from month to month.
    """
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "user_id": [f"{number:04d}-ABCDE" for number in rng.permutation(count)],
            "month": month,
            "tenure": rng.integers(0, 72, count),
            "fee": np.where(rng.random(count) < 0.1, np.nan, rng.gamma(4.0, 15.0, count).round(2)),
            "streams": pd.array(rng.choice(np.array([True, False, None]), count), dtype="boolean"),
            "contract": rng.choice(np.array(["Monthly", "Yearly", "Two years", None]), count, p=[0.5, 0.3, 0.15, 0.05]),
            "constant": 3.0,
            "never_known": None,
            "internet": rng.choice(["DSL", "Fiber", "Satellite"], count, p=[0.5, 0.45, 0.05]),
        }
    )
    monthly, short = weights
    log_odds = monthly * (frame["contract"] == "Monthly") + short * (1 - frame["tenure"] / 36) - 1.5
    draws = np.random.default_rng([seed, int(month[-2:])]).random(count)
    frame["churn_label"] = draws < 1 / (1 + np.exp(-log_odds.to_numpy(dtype=float)))
    return frame
