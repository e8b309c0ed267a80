"""Receipts that recompute, and versions that can be rebuilt: whatever is edited is named, and nothing else matters."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from urllib.parse import unquote, urlsplit

import msgspec
import pyarrow.parquet as pq
import pytest

from churn_platform.champion.receipts import Receipt
from churn_platform.champion.registry import MODEL
from churn_platform.champion.verifying import verify
from churn_platform.files import sha256_of
from churn_platform.lake import Lake
from churn_platform.modelling import recipe as recipes
from churn_platform.modelling.comparison import smallest_gain
from churn_platform.tables.names import FEATURES, HOLDOUT_ROWS, TRAINING_ROWS
from churn_platform_tests import earlier, homes
from churn_platform_tests.conftest import Platform, done
from churn_platform_tests.kept_rows import erase, put


@pytest.fixture
def platform(trained: Platform, tmp_path: Path) -> Platform:
    """Versions 1 and 2, each with its receipt, free to be changed."""
    return trained.copy(tmp_path)


def receipt(platform: Platform, number: int) -> Receipt:
    return platform.home.ledger.all()[number - 1]


def bundle(platform: Platform, number: int) -> Path:
    """The folder of a version's bundle."""
    return Path(unquote(urlsplit(platform.home.registry.version(number).bundle_uri).path))


def rows(platform: Platform, name: str, number: int = 2) -> Path:
    """The file of rows that a receipt names: of those that its version learned from, or was judged on."""
    compared = receipt(platform, number).evaluation
    assert compared is not None and compared.basis is not None
    kept = compared.basis.holdout if name == HOLDOUT_ROWS else compared.basis.recipes[number].training
    return platform.home.lake.addressed(name, kept.sha256)


def test_every_receipt_verifies(platform: Platform) -> None:
    for number in (1, 2):
        told = done(platform, "receipt", str(number), "--verify")
        assert told.endswith(f"receipt {number}: verified\n")
        assert "every figure, gate and the decision come out as they are written" in told
        assert "changed" not in told


def test_a_receipt_is_a_page(platform: Platform) -> None:
    told, made = done(platform, "receipt", "2"), receipt(platform, 2)
    compared = made.evaluation
    assert compared is not None and compared.basis is not None and compared.interval is not None
    recipe = compared.basis.recipes[2]
    for part in (
        f"Receipt 2: version 2 {made.verdict}",
        made.decided_at,
        "by the gate",
        made.reason,
        f"Compared on 2024-02: {compared.rows} holdout customers, {compared.positives} churned",
        f"holdout_rows/{compared.basis.holdout.sha256}.parquet, root {compared.basis.holdout.root}",
        f"training_rows/{recipe.training.sha256}.parquet, root {recipe.training.root}",
        f"2024-01: {recipe.months['2024-01'].rows} rows, features {recipe.months['2024-01'].features_sha256}",
        f"smallest gain that {compared.rows} customers can show: {smallest_gain(compared.interval):.4f}",
        "looks: 1 candidate compared on 2024-02",
        *(f"{gate.name} " for gate in compared.gates),
        *(digest for digest in compared.basis.bundles.values()),
        f"scikit-learn {compared.basis.libraries['scikit-learn']}",
    ):
        assert part in told, part
    assert "Verification" not in told


def test_a_receipt_as_json(platform: Platform) -> None:
    told = json.loads(done(platform, "receipt", "1", "--verify", "--json"))
    assert msgspec.convert(told["receipt"], Receipt, str_keys=True) == receipt(platform, 1)
    assert told["verification"]["state"] == "verified"


def test_a_number_without_a_receipt(platform: Platform, begun: Platform) -> None:
    assert "there is no receipt 3: there are 1 to 2" in done(platform, "receipt", "3", exit_code=1)
    assert "there is no receipt 1: there are none yet" in done(begun, "receipt", "1", exit_code=1)


def refused(platform: Platform, number: int = 2) -> list[str]:
    """What has changed, as `--verify` says it, which must end with 1."""
    told = json.loads(done(platform, "receipt", str(number), "--verify", "--json", exit_code=1))
    assert told["verification"]["state"] == "changed"
    changed: list[str] = told["verification"]["changed"]
    return changed


@pytest.mark.parametrize("name", [TRAINING_ROWS, HOLDOUT_ROWS])
def test_an_edited_row_is_named(name: str, platform: Platform) -> None:
    path = rows(platform, name)
    put(path, 7, "watch_hours_30d", 12.5)
    (told,) = refused(platform)
    assert told == f"{path}: row 8 is the first of 1 row that is not as it was kept: restore it from a backup"
    assert str(path) in done(platform, "rebuild", "2", exit_code=1)


@pytest.mark.parametrize("file", ["model.onnx", "golden.json", "feature_schema.json"])
@pytest.mark.parametrize("number", [1, 2])
def test_an_edited_file_of_a_bundle_is_named(file: str, number: int, platform: Platform) -> None:
    path = bundle(platform, number) / file
    path.write_bytes(path.read_bytes().replace(b"churn", b"churm", 1) if file == "model.onnx" else b"[]")
    (told,) = refused(platform)
    assert told.startswith(f"version {number}: ")
    assert f"{file} is not the file that manifest.json describes" in told
    assert file in done(platform, "rebuild", str(number), exit_code=1)


def test_an_edited_manifest_is_named_even_with_its_tag(platform: Platform) -> None:
    path = bundle(platform, 2) / "manifest.json"
    path.write_bytes(re.sub(rb'"threshold": [0-9.]+', b'"threshold": 0.125', path.read_bytes()))
    (told,) = refused(platform)
    assert "manifest.json is not the one that was registered" in told
    digest = sha256_of(path)
    platform.home.registry.client.set_model_version_tag(MODEL, "2", "bundle_sha256", digest)
    (told,) = refused(platform)
    assert told == f"version 2: its bundle is {digest}, but the receipt says {receipt(platform, 2).bundle_sha256}"


def edit(platform: Platform, number: int, change: Callable[[dict], None]) -> None:
    """Change a receipt's file."""
    path = platform.settings.home / "receipts" / f"{number:06d}.json"
    told = json.loads(path.read_bytes())
    change(told)
    path.write_bytes(json.dumps(told, indent=2).encode())


def put_metric(told: dict) -> None:
    told["evaluation"]["candidate"]["metrics"]["auc"] += 1e-9


def put_interval(told: dict) -> None:
    told["evaluation"]["interval"][0] += 1e-9


def put_segment(told: dict) -> None:
    told["evaluation"]["segments"][0]["positives"] += 1


def put_gate(told: dict) -> None:
    told["evaluation"]["gates"][2]["passed"] = False


def put_parity(told: dict) -> None:
    told["evaluation"]["parity"] = 0.0


def put_looks(told: dict) -> None:
    told["evaluation"]["looks"] = 24


def put_verdict(told: dict) -> None:
    told["verdict"] = "kept" if told["verdict"] == "promoted" else "promoted"


def put_reason(told: dict) -> None:
    told["reason"] = "it was better"


def put_root(told: dict) -> None:
    told["evaluation"]["basis"]["holdout"]["root"] = "0" * 64


def put_column(told: dict) -> None:
    told["evaluation"]["basis"]["label"] = "left"


def put_seed(told: dict) -> None:
    told["evaluation"]["basis"]["recipes"]["2"]["seed"] = 8


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (put_metric, "candidate.metrics.auc: the receipt says 0."),
        (put_interval, "interval[0]: the receipt says "),
        (put_segment, "].positives: the receipt says "),
        (put_gate, "gates[month_order].passed: the receipt says False, and it comes out as True"),
        (put_parity, "parity: the receipt says 0.0, and it comes out as "),
        (put_looks, "looks: the receipt says 24, and it comes out as 1"),
        (put_verdict, "verdict: the receipt says "),
        (put_reason, "reason: the receipt says it was better, and it comes out as version 2 "),
        (put_root, "its root is "),
        (put_column, "the receipt names columns that its holdout rows lack: left"),
        (put_seed, "version 2: its recipe.json in MLflow is not the one that the receipt holds"),
    ],
)
def test_an_edited_value_of_a_receipt_is_named(change: Callable[[dict], None], named: str, platform: Platform) -> None:
    edit(platform, 2, change)
    told = refused(platform)
    assert [sentence for sentence in told if named in sentence], told
    assert "000002.json: is not the one that the registry knows" in told


def test_who_decided_and_the_newest_receipt_are_proved_by_the_chain(platform: Platform) -> None:
    edit(platform, 2, lambda told: told.update(decided_by="nobody"))
    assert refused(platform) == ["000002.json: is not the one that the registry knows"]
    edit(platform, 1, lambda told: told.update(decided_by="nobody"))
    assert "000002.json: does not follow from the receipt before it: that one was changed" in refused(platform, 1)
    edit(platform, 2, lambda told: told.update(number="x"))
    assert "is not a receipt" in done(platform, "receipt", "2", "--verify", exit_code=1)


def test_a_receipt_that_the_registry_does_not_know_is_not_proved(platform: Platform) -> None:
    platform.home.registry.client.delete_registered_model_tag(MODEL, "newest_receipt")
    assert refused(platform) == ["nothing proves receipt 2: the registry does not know it (churn receipts)"]
    told = done(platform, "receipt", "1", "--verify", exit_code=1)  # whoever wrote one may have written all
    assert "nothing proves receipt 1" in told


def test_another_scikit_learn_model_is_named(platform: Platform) -> None:
    model, other = (bundle(platform, number).parent / "model.skops" for number in (2, 1))
    shutil.copy(other, model)
    assert any(told.startswith("parity: ") for told in refused(platform))
    model.write_bytes(b"nothing")
    (told,) = refused(platform)
    assert told.startswith("the scikit-learn model of version 2 cannot be loaded: ")


def test_a_version_that_is_gone_is_named(platform: Platform) -> None:
    platform.home.registry.client.delete_model_version(MODEL, "2")
    assert any("has no version 2" in told for told in refused(platform))


def restated(found: homes.Rows, fee: str) -> homes.Rows:
    """The rows with another monthly fee for everybody."""
    at = found[0].index("monthly_fee")
    return [found[0], *([*row[:at], fee, *row[at + 1 :]] for row in found[1:])]


def test_restated_months_are_no_obstacle(platform: Platform) -> None:
    lake, drop = platform.home.lake, platform.settings.drops / "month_000"
    known = {lake.sha256(FEATURES, month) for month in homes.MONTHS[:2]}
    for fee in ("12.34", "56.78", "90.12"):
        homes.edit(drop / "subscriptions.csv", partial(restated, fee=fee))
        homes.land(lake, homes.MONTHS[0], drop, labels=True)
        for month in homes.MONTHS[:2]:
            homes.close(lake, month)
            assert lake.sha256(FEATURES, month) not in known
            known.add(lake.sha256(FEATURES, month))
    for number in ("1", "2"):
        assert "verified" in done(platform, "receipt", number, "--verify")
        assert "not the same" not in done(platform, "rebuild", number)


def test_versions_are_rebuilt_to_the_bit(platform: Platform) -> None:
    told = done(platform, "rebuild", "2")
    parts = ("model.onnx", "feature_schema.json", "golden.json", "manifest.json", "holdout customers")
    assert told.startswith("version 2: the same to the bit: ")
    assert all(part in told for part in parts)
    found = json.loads(done(platform, "rebuild", "2", "--json"))
    assert (found["different"], found["libraries"]) == ([], [])
    assert "has no version 9" in done(platform, "rebuild", "9", exit_code=1)


def test_todays_declaration_is_not_asked(platform: Platform) -> None:
    home = platform.home
    nowhere = Lake(platform.settings.lake, None)  # type: ignore[arg-type]
    assert verify(nowhere, home.registry, home.ledger, receipt(platform, 2)).state == "verified"


def test_other_versions_of_libraries_are_named(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    now = recipes.libraries()
    monkeypatch.setattr(recipes, "libraries", lambda: {**now, "numpy": "9.9"})
    assert f"when it was trained, numpy was {now['numpy']} and is 9.9" in done(platform, "rebuild", "1")
    assert "verified" in done(platform, "receipt", "2", "--verify")
    edit(platform, 2, put_interval)  # so little may be numpy's doing, but the chain knows
    assert not any("interval" in sentence for sentence in refused(platform))
    edit(platform, 2, lambda told: told["evaluation"]["candidate"]["metrics"].update(auc=0.9))
    told = refused(platform)
    assert any(sentence.startswith("candidate.metrics.auc: ") for sentence in told)
    assert f"what it was computed with may explain that: numpy was {now['numpy']} and is 9.9" in told


def test_another_recipe_does_not_rebuild(platform: Platform) -> None:
    run = platform.home.registry.version(2).run_id
    (recipe,) = platform.settings.home.glob(f"mlflow/**/{run}/artifacts/recipe.json")
    recipe.write_bytes(recipe.read_bytes().replace(b'"blend"', b'"logistic_regression"'))
    told = done(platform, "rebuild", "2", exit_code=1)
    assert "version 2: not the same: model.onnx, " in told
    assert "no library has changed" in told
    recipe.write_bytes(b"{}")
    assert "recipe.json of version 2 cannot be read" in done(platform, "rebuild", "2", exit_code=1)
    assert any("recipe.json of version 2 cannot be read" in told for told in refused(platform))


def forget_one_of(platform: Platform, name: str) -> None:
    """Erase a customer whom version 2 learned from, or was judged on."""
    (customer, *_) = pq.read_table(rows(platform, name))["user_id"].to_pylist()
    done(platform, "forget", customer, "--reason", "a test")


def test_erased_rows_leave_the_rest_proved(platform: Platform) -> None:
    forget_one_of(platform, TRAINING_ROWS)
    told = done(platform, "receipt", "2", "--verify", exit_code=3)
    assert " erased of the training rows of version 2: what its features tell by" in told
    assert "every figure, gate and the decision come out as they are written" in told
    assert "version 2 cannot be trained again to the bit: " in done(platform, "rebuild", "2", exit_code=1)

    forget_one_of(platform, HOLDOUT_ROWS)
    told = done(platform, "receipt", "2", "--verify", exit_code=3)
    assert "not recomputable: 1 row erased of those that the versions were compared on" in told
    assert told.endswith("receipt 2: not recomputable\n")
    put(rows(platform, HOLDOUT_ROWS), 7, "watch_hours_30d", 12.5)
    assert "row 8 is the first of 1 row" in refused(platform)[0]


def test_rows_that_no_receipt_erased_are_missed(platform: Platform) -> None:
    forget_one_of(platform, HOLDOUT_ROWS)
    erase(rows(platform, HOLDOUT_ROWS), 3)  # with its salt, as an erasure would
    told = refused(platform)[0]
    assert "2 rows of the holdout rows are gone, and receipts of erasures name 1: restore the file" in told


def test_a_version_whose_holdout_lost_rows_is_rebuilt_all_the_same(platform: Platform) -> None:
    erase(rows(platform, HOLDOUT_ROWS, 1), 3)
    told = done(platform, "rebuild", "1")
    assert "manifest.json" in told
    assert "not the same" not in told


def test_decisions_by_hand_have_no_figures(platform: Platform) -> None:
    done(platform, "promote", "1", "--reason", "a test")
    done(platform, "pause", "--reason", "a test")
    assert "training rows of version 1, each as it was kept" in done(platform, "receipt", "3", "--verify")
    told = done(platform, "receipt", "4", "--verify")
    assert "promotions and retrainings paused" in told
    assert told.endswith("receipt 4: verified\n")


def test_receipts_and_versions_of_earlier_platforms(tmp_path: Path) -> None:
    platform = Platform(earlier.unpacked("0.1.0", tmp_path))
    told = done(platform, "receipt", "1", "--verify", exit_code=3)
    assert "the comparison was made by an earlier version of the platform, which kept no rows of it" in told
    assert "the bundle of version 1 is the one that was decided on" in told
    assert "the rows were not kept" in done(platform, "receipt", "2")
    told = done(platform, "rebuild", "1", exit_code=1)
    assert "version 1 was trained by an earlier version of the platform" in told
    assert "`churn retrain 2024-01 --again` trains one that can be rebuilt" in told
    edit(platform, 1, put_metric)
    assert any("000001.json: its evaluation is not the one" in sentence for sentence in refused(platform, 1))
