"""Checks: they pass and fail with their figures, stop what they must, and keep the run of a lost comparison green."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from churn_platform.assets import decisions
from churn_platform.assets.partitions import months_of
from churn_platform.automation.history import failed_checks
from churn_platform.champion import twins
from churn_platform.home import Home
from churn_platform.intake import expectations
from churn_platform.modelling.evaluation import Evaluation
from churn_platform.modelling.gate import GATES
from churn_platform.settings import Settings
from churn_platform.tables.names import EVALUATION
from churn_platform_tests import homes, made_assets
from churn_platform_tests.conftest import Platform
from churn_platform_tests.streamflow import STREAMFLOW

FIRST, SECOND, _ = homes.MONTHS
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def materialize(
    assets: list[Any], home: Home, month: str, selection: list[dg.AssetKey] | None = None
) -> dg.ExecuteInProcessResult:
    return dg.materialize(
        assets,
        partition_key=month,
        resources={"home": home},
        instance=dg.DagsterInstance.ephemeral(),
        run_config=QUIET,
        raise_on_error=False,
        selection=selection,
    )


def checks(result: dg.ExecuteInProcessResult) -> dict[str, dg.AssetCheckEvaluation]:
    return {
        f"{found.asset_key.to_user_string()} {found.check_name}": found
        for found in result.get_asset_check_evaluations()
    }


def figures(check: dg.AssetCheckEvaluation) -> dict[str, Any]:
    return {name: value.value for name, value in check.metadata.items()}


@pytest.fixture
def platform(tmp_path: Path) -> Platform:
    """One drop of 60 customers, not closed yet; 3 broken rows are tolerated."""
    homes.deliver(tmp_path / "drops")
    return Platform(homes.settings_of(tmp_path, quarantine_tolerance=0.05))


# The contract


def test_sound_tables_pass_with_their_figures(platform: Platform) -> None:
    result = materialize([made_assets.LAND_DROP], platform.home, "2024-01")
    assert result.success
    found = checks(result)
    assert len(found) == 6
    for check in found.values():
        assert check.passed
        assert check.partition == "2024-01"
        shown = figures(check)
        assert (shown["rows"], shown["broken_rows"], shown["broken_share"], shown["tolerance"]) == (60, 0, 0, 0.05)
        assert shown["expectations"] >= 4
        assert "data_docs_sample" not in shown
        assert (platform.settings.reports / shown["data_docs"].partition("/reports/")[2]).exists()
        assert check.description == "60 of 60 rows keep the contract."


def test_broken_rows_within_the_tolerance_pass(platform: Platform) -> None:
    path = platform.settings.drops / "month_000" / "usage_agg_30d.csv"
    for line in (2, 3, 4):
        homes.put(path, line, "skips_7d", "-1")
    result = materialize([made_assets.LAND_DROP], platform.home, "2024-01")
    assert result.success
    check = checks(result)["landed/usage_agg_30d keeps_the_contract"]
    assert check.passed
    shown = figures(check)
    assert (shown["broken_rows"], shown["broken_share"]) == (3, 0.05)
    assert "| 2 | skips_7d | -1 |" in shown["broken"]
    assert check.description == "57 of 60 rows keep the contract."


def test_a_check_says_that_its_page_shows_a_sample(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    homes.put(platform.settings.drops / "month_000" / "users.csv", 2, "user_gender", "unsaid")
    monkeypatch.setattr(expectations, "MOST", 59)
    found = checks(materialize([made_assets.LAND_DROP], platform.home, "2024-01"))
    for name, check in found.items():
        shown = figures(check)
        assert shown["data_docs_sample"].startswith("The page shows a sample: 59 of 60 rows"), name
        assert (shown["rows"], shown["broken_rows"]) == (60, 1), name  # in other tables, the customer is unknown


def test_above_the_tolerance_the_check_fails_and_nothing_is_kept(platform: Platform) -> None:
    path = platform.settings.drops / "month_000" / "usage_agg_30d.csv"
    for line in range(2, 6):
        homes.put(path, line, "skips_7d", "-1")
    assets = [made_assets.LAND_DROP, *made_assets.SNAPSHOTS, made_assets.FEATURES]
    result = materialize(assets, platform.home, "2024-01")
    assert not result.success
    found = checks(result)
    assert {name: check.passed for name, check in found.items()} == {
        f"landed/{table} keeps_the_contract": table != "usage_agg_30d"
        for table in ("users", "subscriptions", "usage_agg_30d", "payments_agg_90d", "support_agg_90d", "labels")
    }
    check = found["landed/usage_agg_30d keeps_the_contract"]
    assert check.severity is dg.AssetCheckSeverity.ERROR
    assert check.blocking
    assert figures(check)["broken_rows"] == 4
    assert "4 of 60 rows of usage_agg_30d break its contract" in (check.description or "")
    assert (platform.settings.reports / figures(check)["data_docs"].partition("/reports/")[2]).exists()
    assert result.get_asset_materialization_events() == []
    assert homes.contents(platform.settings.lake) == {}


def test_labels_above_the_tolerance_stop(platform: Platform) -> None:
    path = platform.settings.drops / "month_000" / "labels.csv"
    late = path.rename(platform.settings.home.with_name("late.csv"))
    assert materialize([made_assets.LAND_DROP], platform.home, "2024-01").success
    late.rename(path)
    homes.edit(path, lambda rows: [rows[0], *([f"{n:04d}-ZZZZZ", row[1]] for n, row in enumerate(rows[1:]))])
    result = materialize([made_assets.LAND_DROP], platform.home, "2024-01", [dg.AssetKey(["landed", "labels"])])
    assert not result.success
    check = checks(result)["landed/labels keeps_the_contract"]
    assert not check.passed
    assert "is an unknown customer" in figures(check)["broken"]
    assert not platform.home.lake.has("landed/labels", FIRST)


# The gate


def test_a_lost_comparison_is_a_green_run_with_a_warning(trained: Platform, tmp_path: Path) -> None:
    # Versions 2 and 3 are twins, so the third cannot have won against whoever serves.
    result = materialize([made_assets.EVALUATION], trained.copy(tmp_path).home, "2024-02")
    assert result.success
    found = checks(result)
    assert set(found) == {f"evaluation {gate.name}" for gate in GATES}
    lost = found["evaluation delta_rule"]
    assert not lost.passed
    assert lost.severity is dg.AssetCheckSeverity.WARN
    assert lost.blocking
    assert lost.partition == "2024-02"
    assert "<=" in (lost.description or "")
    assert figures(lost)["delta"] == 0.01
    parity = found["evaluation onnx_parity"]
    assert parity.passed
    assert all(check.severity is dg.AssetCheckSeverity.WARN for check in found.values())
    assert all(found[f"evaluation {gate.name}"].blocking is gate.blocking for gate in GATES)


def test_a_months_candidates_are_counted_and_twins_once(trained: Platform) -> None:
    registry = trained.home.registry
    assert {twins.different(registry, month) for month in (FIRST, SECOND)} == {1}  # versions 2 and 3 are twins
    assert twins.different(registry, SECOND + 1) == 0
    compared = trained.home.lake.document(EVALUATION, SECOND, Evaluation)
    assert compared is not None and compared.looks == 1
    assert all(segment.champion_auc is not None for segment in compared.segments if segment.auc is not None)


def test_a_gate_that_is_set_to_warn_blocks_no_run() -> None:
    [evaluation, _] = decisions.assets(months_of(Settings()), STREAMFLOW, ["looks"])
    blocks = {spec.name: spec.blocking for spec in evaluation.check_specs}
    assert blocks["looks"] is False
    assert blocks["calibration"] is blocks["delta_rule"] is True


def evaluated(passes: dict[str, bool], failing: str) -> dg.AssetsDefinition:
    """An evaluation with the real one's key, partitions and checks, of which one fails in some months."""

    @dg.asset(
        name="evaluation",
        partitions_def=made_assets.EVALUATION.partitions_def,
        check_specs=list(made_assets.EVALUATION.check_specs),
    )
    def evaluation(context) -> dg.MaterializeResult:  # Dagster reads the annotation
        return dg.MaterializeResult(
            check_results=[
                dg.AssetCheckResult(
                    passed=passes[context.partition_key] or spec.name != failing,
                    check_name=spec.name,
                    severity=dg.AssetCheckSeverity.WARN,
                )
                for spec in made_assets.EVALUATION.check_specs
            ]
        )

    return evaluation


@pytest.mark.parametrize(
    ("failing", "blocks"), [("delta_rule", True), ("onnx_parity", True), ("interval_above_zero", False)]
)
def test_a_failed_blocking_check_blocks_the_promotion_of_its_month(failing: str, blocks: bool) -> None:
    instance = dg.DagsterInstance.ephemeral()
    for month, passes in (("2024-02", True), ("2024-03", False)):
        evaluation = evaluated({month: passes}, failing)
        assert dg.materialize([evaluation], partition_key=month, instance=instance, run_config=QUIET).success
    gates = [gate.name for gate in GATES if gate.blocking]
    assert failed_checks(instance, "evaluation", gates, SECOND) == ()
    assert failed_checks(instance, "evaluation", gates, SECOND + 1) == ((failing,) if blocks else ())
    assert failed_checks(instance, "evaluation", gates, SECOND + 2) == ()  # as if Dagster's storage had been lost
