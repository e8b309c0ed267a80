"""Baselines: the shipped months' bytes, which no later version may change unseen.

A difference here means that every closed month of every user would change. If that is wanted, say so in the changelog,
and take the new hashes from the test's message.
"""

from __future__ import annotations

from pathlib import Path

from churn_platform.lake import Lake
from churn_platform.tables.names import FEATURES
from churn_platform_tests import homes
from churn_platform_tests.streamflow import SNAPSHOTS, STREAMFLOW

SEEDS = Path(__file__).parents[2] / "data" / "seeds"

BASELINES = {
    "features/2024-01.parquet": "aefb7e260e30ebb6",
    "features/2024-02.parquet": "cfe1bdcb3af3ec25",
    "landed/labels/2024-01.parquet": "6ae13a58bdeead27",
    "landed/labels/2024-02.parquet": "776aabbbdd129c56",
    "landed/payments_agg_90d/2024-01.parquet": "c8e90bedc152c71a",
    "landed/payments_agg_90d/2024-02.parquet": "4340a8df73511a01",
    "landed/subscriptions/2024-01.parquet": "d081c3fbe762d28b",
    "landed/subscriptions/2024-02.parquet": "20f9e9c81457aef1",
    "landed/support_agg_90d/2024-01.parquet": "5958fd5fdd54f7f9",
    "landed/support_agg_90d/2024-02.parquet": "9d41d3e57e034637",
    "landed/usage_agg_30d/2024-01.parquet": "8106de440e9faf2e",
    "landed/usage_agg_30d/2024-02.parquet": "126f2cb7a222f984",
    "landed/users/2024-01.parquet": "9b29d23722390b47",
    "landed/users/2024-02.parquet": "8ac500b2ab38ec5f",
    "payments_agg_90d_snapshots/2024-01.parquet": "83658760d34a0265",
    "payments_agg_90d_snapshots/2024-02.parquet": "f235ed228411120c",
    "subscriptions_profile_snapshots/2024-01.parquet": "7d82acdd7996d3a1",
    "subscriptions_profile_snapshots/2024-02.parquet": "7943b397e95ad77d",
    "support_agg_90d_snapshots/2024-01.parquet": "be33d0b9a4c10f71",
    "support_agg_90d_snapshots/2024-02.parquet": "192cf5a7d01d9ada",
    "usage_agg_30d_snapshots/2024-01.parquet": "00d8287a507a20ca",
    "usage_agg_30d_snapshots/2024-02.parquet": "b405f563d7ad2826",
    "users_snapshots/2024-01.parquet": "ad78d1a39998775d",
    "users_snapshots/2024-02.parquet": "ab7e75e62a284035",
}
"""The first digits of each file's SHA-256, by its path in the lake."""


def test_the_shipped_months_close_to_the_bytes_that_they_always_had(tmp_path: Path) -> None:
    lake = Lake(tmp_path, STREAMFLOW)
    for month, drop in zip(homes.MONTHS, sorted(SEEDS.iterdir()), strict=False):
        homes.land(lake, month, drop, labels=True)
        homes.close(lake, month)
    made = {
        name: digest[:16]
        for name, digest in homes.contents(tmp_path).items()
        if name.startswith(("landed/", FEATURES, *SNAPSHOTS))
    }
    assert made == BASELINES
