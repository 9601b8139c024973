"""What is said of a window's drift: which feature, against which limit, and whether it matters."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from components.monitoring.drift import describe_drift, describe_features
from components.monitoring.window_counts import count_window
from tests.unit.monitoring.window_rows import FEATURES, LIMITS, draw_reference, draw_rows, serve

REFERENCE = draw_reference()


def judge(batches, reference=REFERENCE, limits=LIMITS):
    counted = count_window(reference, batches)
    features = describe_features(reference, counted, limits)
    return {state.name: state for state in features}, describe_drift(reference, counted, features, limits)


def test_rows_like_those_of_training_drift_nowhere():
    features, drift = judge([serve(draw_rows(3000, seed=5))])
    assert not any(state.drifts or state.matters for state in features.values())
    assert drift.greatest_relevant_psi < 1
    assert drift.prediction_psi < drift.prediction_psi_limit


def test_features_come_by_importance_with_the_shares_of_positive_importance():
    features, _ = judge([serve(draw_rows(1000))])
    assert [(name, state.importance_ratio) for name, state in features.items()] == [
        ("distance", 0.75), ("origin", 0.25), ("wind", 0.0)
    ]  # fmt: skip
    assert [features[name].source for name in ("distance", "wind")] == ["request", "weather"]


def test_a_shift_of_an_unimportant_feature_drifts_and_does_not_matter():
    rows = draw_rows(2000).assign(wind=draw_rows(2000, moved=2.0)["wind"])
    features, drift = judge([serve(rows)])
    assert features["wind"].drifts
    assert not features["wind"].matters
    assert drift.greatest_relevant_psi < 1
    assert drift.feature in ("distance", "origin")


def test_a_shift_of_an_important_feature_matters_and_is_named():
    features, drift = judge([serve(draw_rows(2000, moved=1.0))])
    assert features["distance"].matters
    assert drift.feature == "distance"
    limit = features["distance"].psi_limit
    assert drift.greatest_relevant_psi == pytest.approx(features["distance"].psi / limit)
    weighted = 0.75 * features["distance"].psi + 0.25 * features["origin"].psi
    assert drift.weighted_psi == pytest.approx(weighted)
    assert features["distance"].wasserstein == pytest.approx(1.0, abs=0.1)


def test_a_feature_drifts_beyond_its_limit_and_not_at_it():
    served = [serve(draw_rows(2000, moved=0.8))]
    shift = judge(served)[0]["distance"].psi
    for limit, drifts in ((shift, False), (shift * 0.999, True)):
        drift_limits = LIMITS.drift.model_copy(update={"maximum_psi": limit})
        features, _ = judge(served, limits=LIMITS.model_copy(update={"drift": drift_limits}))
        assert (features["distance"].drifts, features["distance"].psi_limit) == (drifts, limit)


def test_below_the_fewest_rows_no_shift_is_told_but_quality_is():
    rows = draw_rows(LIMITS.minimum_rows - 1, moved=3.0).assign(wind=np.nan)
    features, drift = judge([serve(rows)])
    for state in features.values():
        assert (state.psi, state.psi_limit, state.jensen_shannon, state.wasserstein) == (None,) * 4
        assert not state.drifts
    assert features["wind"].missing_ratio == 1
    assert set(drift.model_dump().values()) == {None}
    judged, _ = judge([serve(draw_rows(LIMITS.minimum_rows, moved=3.0))])
    assert judged["distance"].drifts


def test_missing_values_alone_are_a_shift():
    features, _ = judge([serve(draw_rows(2000, missing=0.6))])
    assert features["wind"].drifts
    assert features["wind"].missing_ratio == pytest.approx(0.6, abs=0.05)
    assert features["wind"].reference_missing_ratio == pytest.approx(0.05, abs=0.02)
    assert features["wind"].wasserstein < 0.1


def test_an_unseen_category_is_a_shift_and_is_counted():
    features, _ = judge([serve(draw_rows(2000, airports=("EWR", "JFK", "LGA", "SFO")))])
    assert features["origin"].drifts
    assert features["origin"].unseen_ratio == pytest.approx(0.25, abs=0.05)
    assert features["origin"].out_of_range_ratio == features["origin"].unseen_ratio


def test_a_category_that_was_rare_in_training_is_not_unseen():
    names = [f"A{place:02}" for place in range(70)]
    reference = draw_reference(draw_rows(7000, airports=names))
    features, _ = judge([serve(draw_rows(1000, seed=9, airports=names))], reference)
    assert features["origin"].unseen_ratio == 0
    later, _ = judge([serve(draw_rows(1000, seed=9, airports=[*names, "NEW"]))], reference)
    assert 0 < later["origin"].unseen_ratio < 0.05


def test_shifted_probabilities_are_told_apart_from_the_features():
    rows = draw_rows(2000)
    features, drift = judge([serve(rows, probabilities=np.random.default_rng(0).beta(4, 3, 2000))])
    assert drift.prediction_psi > drift.prediction_psi_limit
    assert not any(state.drifts for state in features.values())


def test_a_limit_grows_where_rows_are_few():
    few = LIMITS.model_copy(update={"drift": LIMITS.drift.model_copy(update={"maximum_psi": 0.001})})
    small, _ = judge([serve(draw_rows(600))], limits=few)
    large, _ = judge([serve(draw_rows(6000))], limits=few)
    assert small["distance"].psi_limit > large["distance"].psi_limit > 0.001
    assert small["distance"].psi_limit < LIMITS.drift.maximum_psi


def test_a_window_without_rows_is_described():
    features, drift = judge([])
    assert [state.missing_ratio for state in features.values()] == [0, 0, 0]
    assert drift.greatest_relevant_psi is None


def test_a_model_that_leans_on_nothing_has_no_weighted_shift():
    reference = draw_reference(importance=dict.fromkeys([feature.name for feature in FEATURES], 0.0))
    _, drift = judge([serve(draw_rows(1000, moved=2.0))], reference)
    assert drift.weighted_psi is None
    assert drift.greatest_relevant_psi is None


def test_a_constant_that_moves_has_a_shift_and_no_distance_in_deviations():
    constant = draw_rows(3000).assign(distance=7.0)
    reference = draw_reference(constant)
    same, _ = judge([serve(constant.head(1000))], reference)
    moved, _ = judge([serve(pd.DataFrame(constant.head(1000).assign(distance=6.0)))], reference)
    assert (same["distance"].wasserstein, same["distance"].psi) == (0, 0)
    assert moved["distance"].wasserstein is None
    assert moved["distance"].drifts


def test_outputs_that_moved_as_far_within_training_are_no_drift():
    served = [serve(draw_rows(2000), probabilities=np.random.default_rng(0).beta(4, 3, 2000))]
    _, before = judge(served)
    profile = REFERENCE.profile.model_copy(update={"score_shift": before.prediction_psi * 1.01})
    _, drift = judge(served, reference=dataclasses.replace(REFERENCE, profile=profile))
    assert before.prediction_psi > before.prediction_psi_limit
    assert drift.prediction_psi_limit == profile.score_shift > drift.prediction_psi


@pytest.mark.parametrize(("in_training", "drifts"), [(2.0, False), (0.001, True)])
def test_a_shift_that_the_model_learned_with_is_no_drift(in_training, drifts):
    """What moves with the seasons moved in training too: only more than that is news."""
    served = [serve(draw_rows(2000, moved=1.0))]
    profile = REFERENCE.profile.model_copy(update={"shifts": {"distance": in_training}})
    features, _ = judge(served, reference=dataclasses.replace(REFERENCE, profile=profile))
    assert features["distance"].drifts is drifts
    assert features["distance"].psi_limit == pytest.approx(max(in_training, judge(served)[0]["distance"].psi_limit))
