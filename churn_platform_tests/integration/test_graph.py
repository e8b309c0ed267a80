"""The graph: what depends on what, and that everything in it is described for the people who read it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest

from churn_platform.definitions import build_defs, defs
from churn_platform.modelling.gate import GATES
from churn_platform.settings import Settings
from churn_platform_tests import homes

SPINE = {
    "landed/users": ("landing", ""),
    "landed/subscriptions": ("landing", ""),
    "landed/usage_agg_30d": ("landing", ""),
    "landed/payments_agg_90d": ("landing", ""),
    "landed/support_agg_90d": ("landing", ""),
    "landed/labels": ("landing", "landed/users"),
    "users_snapshots": ("snapshots", "landed/users users_snapshots"),
    "subscriptions_profile_snapshots": ("snapshots", "landed/subscriptions subscriptions_profile_snapshots"),
    "usage_agg_30d_snapshots": ("snapshots", "landed/usage_agg_30d usage_agg_30d_snapshots"),
    "payments_agg_90d_snapshots": ("snapshots", "landed/payments_agg_90d payments_agg_90d_snapshots"),
    "support_agg_90d_snapshots": ("snapshots", "landed/support_agg_90d support_agg_90d_snapshots"),
    "features": (
        "features",
        "payments_agg_90d_snapshots subscriptions_profile_snapshots support_agg_90d_snapshots "
        "usage_agg_30d_snapshots users_snapshots",
    ),
    "training_set": ("models", "features landed/labels"),
    "candidate": ("models", "training_set"),
    "evaluation": ("models", "candidate features landed/labels"),
    "promotion": ("models", "evaluation"),
}
"""Each asset from a drop to a champion: its group, and what it depends on."""

GRAPH = defs.resolve_asset_graph()
NODES = {key.to_user_string(): GRAPH.get(key) for key in GRAPH.get_all_asset_keys()}


def test_from_a_drop_to_a_champion() -> None:
    groups = {group for group, _ in SPINE.values()}
    found = {
        name: (node.group_name, " ".join(sorted(key.to_user_string() for key in node.parent_keys)))
        for name, node in NODES.items()
        if node.group_name in groups
    }
    assert found == SPINE


@pytest.mark.parametrize("name", sorted(NODES))
def test_an_asset_is_told_to_who_looks_at_it(name: str) -> None:
    node = NODES[name]
    assert node.description
    assert node.kinds
    assert node.owners
    assert node.group_name not in (None, "default")
    assert isinstance(node.partitions_def, dg.MonthlyPartitionsDefinition)


def test_features_are_overdue_so_many_days_after_the_longest_month() -> None:
    policy = (
        build_defs(Settings(features_due_days=4)).resolve_asset_graph().get(dg.AssetKey("features")).freshness_policy
    )
    assert policy == dg.FreshnessPolicy.time_window(fail_window=timedelta(days=35))


def test_months_are_the_partitions() -> None:
    months = NODES["features"].partitions_def
    assert months is not None
    keys = months.get_partition_keys()
    assert keys[:3] == ["2024-01", "2024-02", "2024-03"]
    assert all(node.partitions_def == months for node in NODES.values())


@pytest.mark.parametrize(
    ("child", "parent", "wanted"),
    [
        ("users_snapshots", "users_snapshots", ["2024-04"]),
        ("users_snapshots", "landed/users", ["2024-05"]),
        ("features", "users_snapshots", ["2024-03", "2024-04", "2024-05"]),
        ("training_set", "features", ["2024-01", "2024-02", "2024-03", "2024-04", "2024-05"]),
        ("evaluation", "features", ["2024-05"]),
    ],
)
def test_which_months_a_month_is_made_of(child: str, parent: str, wanted: list[str]) -> None:
    months = NODES[child].partitions_def
    assert months is not None
    mapping = GRAPH.get_partition_mapping(NODES[child].key, NODES[parent].key)
    subset = months.subset_with_partition_keys(["2024-05"])
    found = mapping.get_upstream_mapped_partitions_result_for_partitions(subset, months, months)
    assert sorted(found.partitions_subset.get_partition_keys()) == wanted


def test_one_run_for_each_month() -> None:
    policies = {name: node.backfill_policy for name, node in NODES.items()}
    assert all(policy is None or policy.max_partitions_per_run == 1 for policy in policies.values())


def test_checks() -> None:
    checks = {(key.asset_key.to_user_string(), key.name): GRAPH.get(key) for key in GRAPH.asset_check_keys}
    contracts = {(name, "keeps_the_contract") for name in SPINE if name.startswith("landed/")}
    gates = {("evaluation", gate.name) for gate in GATES}
    assert contracts | gates <= set(checks)
    for place in contracts:
        assert checks[place].blocking
    for gate in GATES:
        assert checks["evaluation", gate.name].blocking is gate.blocking
        assert checks["evaluation", gate.name].description == gate.question
    assert all(check.description for check in checks.values())
    assert all(check.partitions_def is not None for check in checks.values())


def test_jobs() -> None:
    for name, wanted in [
        ("month_close", {name for name, (group, _) in SPINE.items() if group != "models"}),
        ("retrain", {"training_set", "candidate", "evaluation"}),
        ("promote", {"promotion"}),
    ]:
        job = defs.resolve_job_def(name)
        assert job.description
        keys = {key.to_user_string() for key in job.asset_layer.executable_asset_keys}
        assert wanted <= keys if name == "month_close" else wanted == keys
    for name in ("appoint_champion", "roll_back_champion"):
        assert defs.resolve_job_def(name).description


def test_the_definitions_are_loadable() -> None:
    dg.Definitions.validate_loadable(defs)


def test_the_definitions_follow_from_their_settings_alone(tmp_path: Path) -> None:
    settings = homes.settings_of(tmp_path, first_month="2025-03", last_month="2025-06", sensor_seconds=77)
    made = build_defs(settings)
    nodes = list(made.resolve_asset_graph().asset_nodes)
    assert {tuple(node.partitions_def.get_partition_keys()) for node in nodes if node.partitions_def} == {
        ("2025-03", "2025-04", "2025-05", "2025-06")
    }
    jobs = [made.resolve_job_def(name) for name in ("month_close", "month_mature", "retrain", "promote", "refresh")]
    assert {job.partitions_def for job in jobs} == {nodes[0].partitions_def}
    sensors = made.get_repository_def().sensor_defs
    assert {sensor.name: sensor.minimum_interval_seconds for sensor in sensors} == dict.fromkeys(
        ("drops", "retraining", "refreshing", "alerts", "promotions", "erasures"), 77
    )
