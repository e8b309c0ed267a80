"""Names: what every table in the lake, and every document made from tables, is called, in this one place.

Here: the names below the lake's folder. Not here: what a table holds (the modules beside this one and in `monitoring`),
its place on disk (`lake`), or the records that intake keeps of what it has taken in (`intake.deliveries`).
"""

from __future__ import annotations

SEEN = "seen"
"""Everybody whom a month's table of customers has a row of, broken or not, where that says who has left."""

FEATURES = "features"
ORIGINS = "feature_origins"
"""The document beside a month's features that says what they were made of."""

CHURN_SCORES = "churn_scores"

TRAINING_ROWS = "training_rows"
"""The folder of training rows, files named by their content, each with its proof (`proofs`)."""

HOLDOUT_ROWS = "holdout_rows"
"""The folder of the holdout customers that versions were judged on, kept likewise."""

TRAINING_SET = "training_set"
CANDIDATE = "candidate"
EVALUATION = "evaluation"

DRIFT_REPORT = "drift_report"
TARGET_DRIFT = "target_drift"
EXPECTED = "expected_performance"
REALISED = "realised_performance"
REACHED = "champion_performance"
"""The document beside the one of the served scores, where the champion has not made those."""

REJECTED = "rejected_performance"
"""The document beside both that compares the champion with the newest version that was not promoted."""

FROM_LABELS = (TRAINING_SET, CANDIDATE, EVALUATION, TARGET_DRIFT, REALISED, REACHED, REJECTED)
"""The documents of a month that are about its labels, and go when those are withdrawn."""


def landed(table: str) -> str:
    """A landed table's name."""
    return f"landed/{table}"


def quarantine(table: str) -> str:
    """The name of a table's quarantine."""
    return f"quarantine/{table}"
