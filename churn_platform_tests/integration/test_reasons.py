"""Reasons of trained models: what they are, that they add up, and whom they compare a customer with."""

from __future__ import annotations

from itertools import product
from math import factorial
from pathlib import Path

import msgspec
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from churn_platform.bundle import Bundle, Feature, Golden, Manifest, decode, open_session
from churn_platform.members import Leaves, Trees, used
from churn_platform.modelling import estimators
from churn_platform.modelling.encoding import encode_frame
from churn_platform.modelling.export import background_rows, to_onnx, write_bundle
from churn_platform.modelling.members import members
from churn_platform.modelling.training import train
from churn_platform.reasons import shapley, walks
from churn_platform.reasons.change import Seen, change
from churn_platform.reasons.shapley import background, contributions, log_odds
from churn_platform.reasons.tabulated import Tabulated
from churn_platform.reasons.telling import reasons
from churn_platform.settings import Estimator
from churn_platform_tests.modelling_cases import SCHEMA, customers
from churn_platform_tests.streamflow import STREAMFLOW

ESTIMATORS: tuple[Estimator, ...] = ("blend", "hist_gradient_boosting", "random_forest", "logistic_regression")
MANIFEST = Manifest(1, "2024-01", ("2024-01",), "blend", 0.5, {}, {})


@pytest.fixture(scope="module", params=ESTIMATORS)
def bundle(request, tmp_path_factory) -> Bundle:
    folder = tmp_path_factory.mktemp("bundle")
    training = train(customers(500), STREAMFLOW, SCHEMA, request.param, seed=7)
    model = to_onnx(training.pipeline, len(SCHEMA))
    write_bundle(folder, training, model, SCHEMA, customers(500), {"auc": 0.8}, "2024-01")
    return Bundle.load(folder)


@pytest.fixture
def encoded() -> np.ndarray:
    """Customers as they come, and with more unknown than any had in training."""
    found = encode_frame(SCHEMA, customers(40, seed=2))
    rng = np.random.default_rng(0)
    unknown = rng.random(found.shape) < 0.4
    unknown[:20] = False
    found[unknown] = np.broadcast_to([-1 if f.kind == "category" else np.nan for f in SCHEMA], found.shape)[unknown]
    return found


def changed(bundle: Bundle, **parts: object) -> Bundle:
    """The same model with other parts beside it."""
    made = Bundle(bundle.digest, bundle.manifest, bundle.schema, bundle.golden, bundle._session)
    made.background, made.members = bundle.background, bundle.members
    vars(made).update(parts)
    return made


def exact(bundle: Bundle, customer: np.ndarray) -> np.ndarray:
    """The customer's Shapley values by their definition: the mean over all coalitions, weighted by their orders."""
    n, compared = len(customer), background(bundle)
    coalitions = np.array(list(product((False, True), repeat=n)))
    rows = np.where(coalitions[:, None, :], customer, compared).reshape(-1, n)
    worth = log_odds(bundle.score(rows)).reshape(len(coalitions), len(compared)).mean(axis=1)
    sizes = coalitions.sum(axis=1)
    weight = np.array([factorial(s) * factorial(n - s - 1) / factorial(n) if s < n else 0.0 for s in range(n + 1)])
    found = np.zeros(n)
    for feature in range(n):
        without = np.flatnonzero(~coalitions[:, feature])
        joined = without + 2 ** (n - 1 - feature)
        found[feature] = (weight[sizes[without]] * (worth[joined] - worth[without])).sum()
    return found


def test_the_strongest_parts_are_those_of_the_definition(bundle, encoded):
    found = contributions(bundle, encoded).parts
    for customer in (0, 7, 19, 25, 39):
        expected = exact(bundle, encoded[customer])
        top = np.argsort(-np.abs(expected))[:3]
        assert found[customer, top] == pytest.approx(expected[top], abs=0.02)


def test_parts_add_up_to_the_served_score(bundle, encoded):
    found = contributions(bundle, encoded)
    assert found.log_odds == pytest.approx(log_odds(bundle.score(encoded)))
    assert found.base + found.parts.sum(axis=1) == pytest.approx(found.log_odds, abs=1e-9)


def test_members_walk_as_the_served_model_does(bundle, encoded):
    if not bundle.members:
        assert bundle.manifest.estimator == "random_forest"  # its trees are too deep
        return
    compared = background(bundle)
    orders = walks.orders(tuple(feature.name for feature in SCHEMA), len(compared))
    tabulated = Tabulated(bundle.members, compared, orders)
    assert 1 / (1 + np.exp(-tabulated.log_odds(encoded))) == pytest.approx(bundle.score(encoded), abs=1e-6)
    scored = walks.contributions(lambda rows: log_odds(bundle.score(rows)), encoded, compared, orders)
    assert np.abs(tabulated.contributions(encoded) - scored).max() < 1e-5
    looked_at = {SCHEMA[feature].name for feature in used(bundle.members)}
    assert {"tenure", "contract"} <= looked_at
    assert not looked_at & {"never_known", "never_told"}


def test_a_customers_parts_do_not_depend_on_who_else_is_explained(bundle, encoded):
    together = contributions(bundle, encoded).parts
    alone = np.vstack([contributions(bundle, row[None]).parts for row in encoded[::13]])
    np.testing.assert_array_equal(together[::13], alone)
    assert contributions(bundle, encoded[:0]).parts.shape == (0, len(SCHEMA))


def test_members_that_are_not_the_served_model_explain_nobody(bundle, encoded):
    if not bundle.members:
        return
    first, *others = bundle.members
    other = changed(bundle, members=(msgspec.structs.replace(first, start=first.start + 0.1), *others))
    found, expected = contributions(other, encoded), contributions(changed(bundle, members=()), encoded)
    np.testing.assert_array_equal(found.parts, expected.parts)


def test_without_a_background_golden_rows_stand_in(bundle, encoded):
    before = changed(bundle, background=(), members=())
    assert len(background(before)) == len(bundle.golden) - 1
    assert not np.isnan(background(before)[:, 0]).any()
    found = contributions(before, encoded)
    assert found.base != contributions(bundle, encoded).base
    assert found.base + found.parts.sum(axis=1) == pytest.approx(found.log_odds, abs=1e-9)


def test_reasons_name_what_drives_the_risk(bundle):
    safe = {"tenure": 71, "fee": 50.0, "streams": None, "contract": "Two years", "constant": 3.0, "internet": "DSL"}
    frame = pd.DataFrame([safe | {"tenure": 1, "contract": "Monthly"}, safe])
    risky, calm = reasons(bundle, encode_frame(SCHEMA, frame), top=2)
    assert {reason.feature for reason in risky} == {"tenure", "contract"}
    (contract,) = (reason for reason in risky if reason.feature == "contract")
    assert (contract.value, contract.contribution > 0) == ("Monthly", True)
    assert contract.words == "contract: Monthly"
    assert contract.sentence == "How long the contract binds: Monthly. This raises the risk."
    assert calm[0].feature in {"tenure", "contract"}
    assert calm[0].contribution < 0
    sizes = [abs(reason.contribution) for reason in risky]
    assert sizes == sorted(sizes, reverse=True)


def test_features_without_an_effect_are_no_reasons(bundle):
    (all_of_them,) = reasons(bundle, encode_frame(SCHEMA, customers(1)), top=99)
    named = {reason.feature for reason in all_of_them}
    assert "tenure" in named
    assert not named & {"constant", "never_known", "never_told"}
    assert reasons(bundle, np.empty((0, len(SCHEMA)))) == []


def test_a_tree_that_is_too_deep_is_not_taken_apart():
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.pipeline import Pipeline

    encoded = encode_frame(SCHEMA, customers(500))
    pipeline = estimators.build("hist_gradient_boosting", SCHEMA, 7)
    deep = Pipeline([pipeline.steps[0], ("model", HistGradientBoostingClassifier(max_depth=4, max_iter=5))])
    estimators.fit(deep, encoded, customers(500)["churn_label"].to_numpy(dtype=bool))
    assert members(deep, SCHEMA) == ()


@st.composite
def companies(draw: st.DrawFn) -> tuple[tuple[Feature, ...], int, float, Estimator]:
    kinds = draw(st.lists(st.sampled_from(["number", "boolean", "category"]), min_size=1, max_size=7))
    counts = [draw(st.integers(0, 4)) if kind == "category" else 0 for kind in kinds]
    schema = tuple(
        Feature(f"f{i}", kind, "M.", True, tuple("abcd"[:count]))  # type: ignore[arg-type]  # a kind
        for i, (kind, count) in enumerate(zip(kinds, counts, strict=True))
    )
    unknown = draw(st.sampled_from([0.0, 0.3, 0.9]))
    return schema, draw(st.integers(0, 2**16)), unknown, draw(st.sampled_from(["blend", "random_forest"]))


@settings(max_examples=12)
@given(companies())
def test_parts_add_up_whatever_the_company(made: tuple[tuple[Feature, ...], int, float, Estimator]) -> None:
    schema, seed, unknown, name = made
    rng = np.random.default_rng(seed)
    encoded = np.column_stack(
        [_column(feature, np.where(rng.random(300) < unknown, np.nan, rng.normal(size=300))) for feature in schema]
    ).astype(np.float32)
    signal = np.nan_to_num(encoded).sum(axis=1) + rng.normal(size=300)
    pipeline = estimators.build(name, schema, 7)
    if name == "random_forest":
        pipeline.named_steps["model"].set_params(n_estimators=10)
    estimators.fit(pipeline, encoded, signal > np.median(signal))
    rows = encoded[:4]
    compared = background_rows(encoded)
    bundle = Bundle(
        "",
        MANIFEST,
        schema,
        tuple(Golden(decode(schema, row), 0.5) for row in rows),
        open_session(to_onnx(pipeline, len(schema))),
        tuple(decode(schema, row) for row in compared),
        members(pipeline, schema),
    )
    rows = np.vstack([rows, [[-1 if feature.kind == "category" else np.nan for feature in schema]]])
    found = contributions(bundle, rows)
    p = bundle.score(rows).astype(np.float64)
    assert found.base + found.parts.sum(axis=1) == pytest.approx(np.log(p / (1 - p)), abs=1e-4)
    if bundle.members:
        agree = 1 / (1 + np.exp(-shapley._tabulated(bundle).log_odds(rows)))
        assert agree == pytest.approx(p, abs=shapley.AGREES)


def _column(feature: Feature, drawn: np.ndarray) -> np.ndarray:
    """One column of the training customers, from normal draws: unknown values as the encoding has them."""
    if feature.kind == "category":
        places = np.digitize(np.nan_to_num(drawn), [-0.5, 0, 0.5]) % max(1, len(feature.categories))
        return np.where(np.isnan(drawn) | (len(feature.categories) == 0), -1, places)
    return np.where(np.isnan(drawn), np.nan, drawn > 0) if feature.kind == "boolean" else drawn


def test_a_table_of_answers_is_the_tree(bundle):
    """The leaf of a set of answers is the one that walking down with them reaches."""
    trees = [member for member in bundle.members if isinstance(member, Trees)]
    for member in trees:
        leaves = Leaves(member)
        for tree, answers in product((0, 50, 149), range(0, 128, 7)):
            node = 0
            while node < 7:
                node = 2 * node + (1 if answers >> node & 1 else 2)
            assert leaves.values[tree, answers] == member.trees[tree].leaves[node - 7]


def test_a_change_is_the_customers_and_the_models(bundle, tmp_path: Path):
    other = train(customers(500, seed=5), STREAMFLOW, SCHEMA, "logistic_regression", seed=7)
    write_bundle(tmp_path / "new", other, to_onnx(other.pipeline, len(SCHEMA)), SCHEMA, customers(500), {}, "2024-02")
    new = Bundle.load(tmp_path / "new")
    before, now = (encode_frame(SCHEMA, customers(30, seed=seed)) for seed in (2, 4))
    found = change(Seen(bundle, before, now), Seen(new, before, now))
    first, last = log_odds(bundle.score(before)), log_odds(new.score(now))
    assert found.total == pytest.approx(last - first)
    assert found.customer + found.model == pytest.approx(found.total)
    assert np.abs(found.customer).max() > 0.1 < np.abs(found.model).max()
    same_model = change(Seen(bundle, before, now), Seen(bundle, before, now))
    assert same_model.model == pytest.approx(0)
    same_customer = change(Seen(bundle, now, now), Seen(new, now, now))
    assert same_customer.customer == pytest.approx(0)
    back = change(Seen(new, now, before), Seen(bundle, now, before))
    assert back.customer == pytest.approx(-found.customer)
    assert back.model == pytest.approx(-found.model)
