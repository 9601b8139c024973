"""Findings: each number beyond its limit is said once, with who acts; what is well says nothing."""

import re

import pytest

from components.data.quality import DataChange
from components.monitoring.findings.collect import add_changes, list_findings
from components.monitoring.results import Estimate, EstimatedPerformance, FeatureSkew, Skew
from components.tasks import open_task
from tests.unit.monitoring.flights_world import PROBLEM
from tests.unit.monitoring.parts import FEATURES, feature, window

MONTH = window(8, factor=0.9)
HEALTHY = MONTH.model_copy(
    update={
        "features": tuple(one.model_copy(update={"drifts": False, "matters": False}) for one in MONTH.features),
        "labels": MONTH.labels.model_copy(update={"changed": 0}),
    }
)


def change(part, **fields):
    return getattr(HEALTHY, part).model_copy(update=fields)


def result(**fields):
    return HEALTHY.model_copy(update=fields)


def found(changed, topic=None, problem=PROBLEM, **more):
    return [one for one in list_findings(open_task(problem), changed, **more) if topic in (None, one.topic)]


def one_feature(**fields):
    """Return the features of the healthy window, the first of them changed."""
    return (HEALTHY.features[0].model_copy(update=fields), *HEALTHY.features[1:])


def score(estimate, low, high):
    found = {**HEALTHY.performance.scores, "roc_auc": Estimate(estimate=estimate, low=low, high=high)}
    below = high < PROBLEM.monitoring.performance.minimum
    return change(
        "performance", scores=found, is_below_limit=below, at_release={"roc_auc": 0.73}, limit_metric="roc_auc"
    )


def gain(estimate, low, high):
    other = HEALTHY.value.contenders["current_solution"]
    gained = other.model_copy(update={"gain_of_served_per_1000": Estimate(estimate=estimate, low=low, high=high)})
    contenders = {**HEALTHY.value.contenders, "current_solution": gained}
    return change("value", contenders=contenders, limit_per_1000=0.0, is_below_limit=high < 0)


def against_nothing(estimate, low, high):
    """A window that beats the current solution by far."""
    other = HEALTHY.value.contenders["no_action"]
    gained = other.model_copy(update={"gain_of_served_per_1000": Estimate(estimate=estimate, low=low, high=high)})
    contenders = {**HEALTHY.value.contenders, "no_action": gained}
    return result(value=change("value", contenders=contenders, is_below_limit=high < 0))


def test_decisions_that_cost_more_than_they_earn_are_found_whatever_the_current_solution_lost():
    (sure,) = found(against_nothing(-112, -150, -70), "value")
    assert (sure.severity, sure.title) == ("critical", "The decisions lose money")
    assert "Against doing nothing the gain is -112 USD (-150 USD to -70 USD)" in sure.text
    (unsure,) = found(against_nothing(-112, -250, 26), "value")
    assert (unsure.severity, unsure.title) == ("warning", "The decisions may lose money")
    assert found(against_nothing(112, -26, 250), "value") == []


def test_labels_that_are_older_than_their_predictions_are_critical():
    (finding,) = found(result(labels=change("labels", known_before=183)), "labels")
    assert (finding.severity, finding.title) == (
        "critical",
        "Predictions were asked for after their outcome was known",
    )
    assert finding.text.startswith("183 of ")


def test_healthy_window_says_nothing():
    assert found(HEALTHY) == []


def test_window_without_predictions_is_critical():
    (finding, *_) = found(result(model_rows=0, traffic=change("traffic", rows=0)), "traffic")
    assert (finding.severity, finding.title) == ("critical", "Nothing was predicted")


def test_new_version_waits_for_rows_and_nobody_is_asked():
    changed = result(model_rows=12, performance=None, value=None)
    (finding,) = found(changed, "traffic")
    assert finding.severity == "note"
    assert "It predicted 12 rows, and 500 are required. The version is new" in finding.text


def test_window_with_little_traffic_asks_why():
    (finding,) = found(result(model_rows=12, traffic=change("traffic", rows=12)), "traffic")
    assert finding.severity == "warning"


def test_stale_view_is_critical_and_explains_what_is_missing():
    view = HEALTHY.views[0].model_copy(update={"expired_ratio": 0.418, "ttl_seconds": 3 * 3600.0})
    missing = tuple(
        one.model_copy(update={"missing_ratio": 0.42}) if one.source == view.view else one for one in HEALTHY.features
    )
    stale, rise = found(result(views=(view, *HEALTHY.views[1:]), features=missing), "features")
    assert stale.title == f"Values of {view.view} are too old"
    assert "41.8%" in stale.text
    assert "older than 3 hours" in stale.text
    assert "FeaturesStale" in stale.action
    assert (rise.severity, rise.action) == ("warning", "The stale view explains it: fix that first.")


def test_view_that_is_mostly_fresh_is_no_finding():
    view = HEALTHY.views[0].model_copy(update={"expired_ratio": PROBLEM.monitoring.quality.maximum_expired_rise})
    assert found(result(views=(view, *HEALTHY.views[1:])), "features") == []


def test_feature_that_goes_missing_is_named_with_both_ratios():
    changed = one_feature(missing_ratio=0.3, reference_missing_ratio=0.05)
    (finding,) = found(result(features=changed), "features")
    assert f"{changed[0].name} is missing in 30.0% of rows, 5.0% in training" in finding.text


def test_drift_of_an_important_feature_is_a_warning():
    changed = one_feature(psi=0.5, psi_limit=0.25, drifts=True, matters=True, importance_ratio=0.3)
    (finding,) = found(result(features=changed), "drift")
    assert (finding.severity, finding.title) == ("warning", "1 important feature drifted")
    assert "is 0.500, and 0.250 is accepted" in finding.text


def test_drift_that_may_retrain_says_that_the_governor_is_asked():
    changed = result(features=one_feature(psi=0.5, psi_limit=0.25, drifts=True, matters=True))
    retraining = PROBLEM.retraining.model_copy(update={"alerts": ["DriftMatters"]})
    (asked,) = found(changed, "drift", PROBLEM.model_copy(update={"retraining": retraining}))
    (silent,) = found(changed, "drift")
    assert asked.action.startswith("The alert DriftMatters asks the governor to retrain")
    assert silent.action.startswith("No retraining starts.")


def test_harmless_drift_is_one_note_that_counts_all():
    harmless = tuple(feature(entry, 1.0, drifts=True, matters=False) for entry in FEATURES)
    (finding,) = found(result(features=harmless), "drift")
    assert (finding.severity, finding.action) == ("note", "Nothing to do.")
    assert finding.title.startswith(f"{len(FEATURES)} unimportant features drifted")
    assert f"and {len(FEATURES) - 4} more" in finding.text


def test_changes_of_the_data_are_one_warning_a_source_and_may_retrain():
    changes = [
        DataChange(source=source, column=column, kind="empty", words=f"{source}.{column} is empty.")
        for source, column in (("flights", "carrier"), ("weather", "temp"), ("weather", "visib"))
    ]
    flights, weather = add_changes(PROBLEM, HEALTHY, changes).findings
    assert (flights.severity, flights.topic, flights.title) == ("warning", "data", "The data of flights changed")
    assert weather.text == "weather.temp is empty. weather.visib is empty."
    assert weather.action == "No retraining starts. The runbook is DataChanged."
    retraining = PROBLEM.retraining.model_copy(update={"alerts": ["DataChanged"]})
    (asked, _) = add_changes(PROBLEM.model_copy(update={"retraining": retraining}), HEALTHY, changes).findings
    assert asked.action.startswith("The alert DataChanged asks the governor to retrain")
    assert add_changes(PROBLEM, HEALTHY, ()) == HEALTHY


@pytest.mark.parametrize(
    ("measured", "words"),
    [
        (30, None),
        (None, "An older platform trained the model"),
        (0, "as none had enough rows: 0.25 is the limit of all features"),
        (14, "The limits are what windows of 14 days moved within training. 30 days are judged together"),
    ],
)
def test_limits_from_windows_of_another_length_are_noted(measured, words):
    notes = found(result(drift=change("drift", shift_days=measured)), "drift")
    assert [note.severity for note in notes] == ([] if words is None else ["note"])
    assert all(words in note.text and note.action == "Train again, on at least 60 days." for note in notes)


@pytest.mark.parametrize(("ratio", "findings"), [(0.05, 0), (0.06, 1)])
def test_skew_is_said_beyond_its_limit(ratio, findings):
    worst = FeatureSkew(name="seats", rows=2000, different_ratio=0.4, mean_absolute_difference=3.0)
    skewed = found(result(skew=Skew(rows=2000, different_ratio=ratio, features=(worst,))), "skew")
    assert len(skewed) == findings
    assert all("Most different: seats." in finding.text for finding in skewed)


def test_missing_labels_say_how_many_are_overdue():
    labels = change("labels", due=20_000, overdue=2000, coverage_ratio=0.9)
    (finding,) = found(result(labels=labels), "labels")
    assert "2,000 of 20,000 rows have no label after 24 hours: 90.0% have one, and 98.0% are required." in finding.text


def test_changed_labels_are_a_note():
    (finding,) = found(result(labels=change("labels", changed=7)), "labels")
    assert finding.severity == "note"


def test_version_without_labels_is_told_by_its_estimate():
    promised = EstimatedPerformance(metric="roc_auc", rows=9000, score=0.71, on_labelled=None)
    (finding,) = found(result(performance=None, value=None), "labels", estimated=(promised,))
    assert "The estimate without labels is a ROC AUC of 0.710 on 9,000 rows." in finding.text


def test_score_below_its_limit_is_critical_and_says_who_acts():
    finding, *_ = found(result(performance=score(0.56, 0.54, 0.58)), "performance")
    assert (finding.severity, finding.title) == ("critical", "The ROC AUC is below its limit")
    assert "0.560 (0.540 to 0.580)" in finding.text
    assert "it was 0.730 at release" in finding.text
    assert finding.action.startswith("The alert PerformanceBelowLimit asks the governor")


def test_score_whose_interval_holds_the_limit_is_near_it():
    (finding,) = found(result(performance=score(0.64, 0.61, 0.67)), "performance")
    assert (finding.severity, finding.title) == ("warning", "The ROC AUC is near its limit")


def test_stale_views_and_skew_of_too_few_rows_are_no_findings():
    fewest = PROBLEM.monitoring.minimum_rows
    view = HEALTHY.views[0].model_copy(
        update={"expired_ratio": 0.9, "unknown_ratio": 0.0, "reference_missing_ratio": 0.0}
    )
    skew = HEALTHY.skew.model_copy(update={"different_ratio": 0.9})
    changes = {"views": (view, *HEALTHY.views[1:]), "skew": skew}
    assert found(result(model_rows=fewest - 1, **changes), "features") == []
    assert found(result(model_rows=fewest - 1, **changes), "skew") == []
    assert len(found(result(model_rows=fewest, **changes), "features")) == 1
    assert len(found(result(model_rows=fewest, **changes), "skew")) == 1


def test_late_feed_is_blamed_before_a_change_of_concept():
    view = HEALTHY.views[0].model_copy(
        update={"expired_ratio": 0.5, "unknown_ratio": 0.0, "reference_missing_ratio": 0.0}
    )
    late = result(performance=score(0.66, 0.64, 0.68), views=(view, *HEALTHY.views[1:]))
    assert found(late, "performance", expected=0.72) == []


def test_truth_below_promise_and_release_is_a_change_of_concept():
    performance = score(0.66, 0.64, 0.68)
    (finding,) = found(result(performance=performance), "performance", expected=0.72)
    assert finding.title == "The same inputs now mean something else"
    assert found(result(performance=performance), "performance", expected=0.67) == []
    assert found(result(performance=score(0.72, 0.70, 0.735)), "performance", expected=0.76) == []


def test_value_below_the_current_solution_is_critical():
    (finding,) = found(result(value=gain(-9700.0, -14_000.0, -5400.0)), "value")
    assert finding.severity == "critical"
    assert "-9,700 USD (-14,000 USD to -5,400 USD) per 1,000 predictions" in finding.text


def test_value_that_is_not_certain_is_a_note():
    (finding,) = found(result(value=gain(500.0, -300.0, 1300.0)), "value")
    assert finding.severity == "note"


def test_gravest_stands_first():
    changed = result(performance=score(0.56, 0.54, 0.58), labels=change("labels", changed=7, coverage_ratio=0.5))
    severities = [finding.severity for finding in found(changed)]
    assert severities == sorted(severities, key=["critical", "warning", "note"].index)
    assert set(severities) == {"critical", "warning", "note"}


def test_words_hold_no_unknown_numbers():
    changed = result(performance=score(0.56, 0.54, 0.58), value=gain(-1.0, -2.0, -0.5))
    assert not any(re.search(r"\b(n/a|nan|None)\b", one.text + one.action) for one in found(changed))
