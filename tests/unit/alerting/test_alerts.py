"""Alerts as data: where their thresholds come from, what may retrain, and how a simulation scales their durations."""

import re
from datetime import timedelta
from typing import get_args

import promql_parser
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.alerting.alerts import list_alerts
from components.alerting.types import Pace, write_duration, write_threshold
from components.base.contract.limits import list_limits, read_field
from components.base.contract.monitoring import RetrainingAlert
from components.base.errors import ContractError
from tests.unit.alerting.watched import PROBLEM, with_field

ALERTS = {alert.key: alert for alert in list_alerts(PROBLEM)}
JUDGING = (
    "DriftMatters",
    "PerformanceBelowLimit",
    "ValueBelowLimit",
    "FeaturesStale",
    "FeaturesMissing",
    "ServingSkew",
    "LabelsMissing",
)


def by_key(problem, pace=None):
    return {alert.key: alert for alert in (list_alerts(problem, pace) if pace else list_alerts(problem))}


def test_every_condition_that_the_platform_promises_has_an_alert():
    promised = {
        "EndpointDown",
        "ErrorBudgetBurn",
        "LatencyBudgetBurn",
        "PredictionLogDropping",
        "PipelineFailed",
        "PipelineOverdue",
        "DataChanged",
        "DataLate",
        "MonitoringStale",
        "RetrainingStuck",
        *JUDGING,
    }
    assert {alert.name for alert in ALERTS.values()} == promised


def test_every_rule_has_a_key_of_its_own_and_tests_of_both_kinds():
    assert len(ALERTS) == len(list_alerts(PROBLEM))
    for alert in ALERTS.values():
        assert {case.fires for case in alert.cases} == {True, False}, alert.key


@pytest.mark.parametrize(
    ("field", "value", "key"),
    [
        ("serving.minimum_replicas", 3, "EndpointDown"),
        ("monitoring.performance.minimum", 0.7, "PerformanceBelowLimit"),
        ("monitoring.minimum_value_gain_per_1000", 250.0, "ValueBelowLimit"),
        ("monitoring.quality.maximum_expired_rise", 0.2, "FeaturesStale"),
        ("monitoring.quality.maximum_missing_rise", 0.3, "FeaturesMissing"),
        ("monitoring.quality.maximum_skew_ratio", 0.01, "ServingSkew"),
        ("monitoring.minimum_label_coverage", 0.5, "LabelsMissing"),
    ],
)
def test_a_limit_of_the_contract_is_the_threshold(field, value, key):
    assert ALERTS[key].threshold == read_field(PROBLEM, field) != value
    changed = by_key(with_field(PROBLEM, field, value))[key]
    assert changed.threshold == value
    assert field in changed.limit.fields


@pytest.mark.parametrize(
    ("field", "value", "key", "text"),
    [
        ("monitoring.objectives.availability", 0.99, "ErrorBudgetBurn-1h", ") / 0.01)"),
        ("serving.p99_milliseconds", 250, "LatencyBudgetBurn-1h", 'le="0.25"'),
        ("monitoring.minimum_rows", 777, "DriftMatters", ">= 777"),
        ("monitoring.schedule", "0 6 * * 1", "DriftMatters", f"< {2 * 7 * 86400}"),
    ],
)
def test_other_numbers_of_the_contract_are_in_the_query(field, value, key, text):
    assert text not in ALERTS[key].query
    assert text in by_key(with_field(PROBLEM, field, value))[key].query


def test_hours_of_the_contract_become_seconds():
    hours = PROBLEM.sources["weather"].freshness.warn_hours
    assert ALERTS["DataLate-weather"].threshold == hours * 3600
    assert ALERTS["RetrainingStuck-run"].threshold == PROBLEM.retraining.cooldown_hours * 3600
    without_rest = by_key(with_field(PROBLEM, "retraining.cooldown_hours", 0))["RetrainingStuck-run"]
    assert without_rest.threshold == 24 * 3600


def test_every_named_field_is_in_the_contract_and_every_other_threshold_has_a_reason():
    for alert in ALERTS.values():
        for field in alert.limit.fields:
            node = PROBLEM
            for part in field.split("."):
                node = node[part] if isinstance(node, dict) else getattr(node, part)
        assert len(alert.limit.reason) > 20, alert.key


def test_only_alerts_that_the_contract_names_retrain():
    retraining = {alert.name for alert in ALERTS.values() if alert.action == "retrain"}
    assert retraining == set(PROBLEM.retraining.alerts) == {"PerformanceBelowLimit", "ValueBelowLimit"}
    for name in ("DriftMatters", "DataChanged"):
        another = with_field(PROBLEM, "retraining.alerts", [name])
        assert {alert.name for alert in list_alerts(another) if alert.action == "retrain"} == {name}
    nothing = with_field(PROBLEM, "retraining.alerts", [])
    assert {alert.action for alert in list_alerts(nothing)} == {"none"}
    assert set(get_args(RetrainingAlert)) <= {alert.name for alert in ALERTS.values()}


@pytest.mark.parametrize("name", JUDGING)
def test_no_judgement_without_enough_rows_and_a_fresh_result(name):
    query = ALERTS[name].query
    assert f">= {PROBLEM.monitoring.minimum_rows}" in query
    assert re.search(r"time\(\) - max by \(problem\) \(tidemill_monitoring_last_success_\S+\) < 172800\)", query)


def test_a_result_is_stale_for_the_alert_from_when_it_counts_no_more():
    assert ALERTS["MonitoringStale"].threshold == 2 * 86400
    assert ALERTS["MonitoringStale"].action == "none"


def test_a_limit_that_is_a_maximum_turns_the_comparison_round():
    loss = with_field(PROBLEM, "monitoring.performance", {"metric": "log_loss", "maximum": 0.6})
    alert = by_key(loss)["PerformanceBelowLimit"]
    assert (alert.operator, alert.threshold) == (">", 0.6)
    assert 'tidemill_performance_score_low{problem="flight-delays",metric="log_loss"}' in alert.query
    assert alert.limit.fields[0] == "monitoring.performance.maximum"


def test_a_lax_objective_can_still_be_missed():
    # 10 % of bad requests are allowed: a burn rate of 14.4 would need 144 %.
    lax = by_key(with_field(PROBLEM, "monitoring.objectives.availability", 0.9))
    assert lax["ErrorBudgetBurn-1h"].threshold == pytest.approx(5)
    assert lax["ErrorBudgetBurn-3d"].threshold == 1


def test_a_simulation_divides_every_duration_but_keeps_windows_that_hold_scrapes():
    fast = by_key(PROBLEM, Pace(scale=60, scrape_seconds=1))
    assert fast["PerformanceBelowLimit"].wait_seconds == 5
    assert fast["MonitoringStale"].threshold == ALERTS["MonitoringStale"].threshold / 60
    assert "[1m]" in fast["ErrorBudgetBurn-1h"].query
    assert "[5s]" in fast["ErrorBudgetBurn-1h"].query
    # A Prometheus that has just started knows no targets yet: that must not look like an outage.
    assert fast["EndpointDown"].wait_seconds == fast["RetrainingStuck-governor"].wait_seconds == 10
    faster = by_key(PROBLEM, Pace(scale=52560, scrape_seconds=1))
    assert "[12s]" in faster["ErrorBudgetBurn-1h"].query
    assert "[4s]" in faster["ErrorBudgetBurn-1h"].query
    assert {key: alert.threshold for key, alert in faster.items() if alert.name == "DataLate"} == {
        key: alert.threshold for key, alert in ALERTS.items() if alert.name == "DataLate"
    }


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (0.4, "400ms"), (1, "1s"), (90, "90s"), (3600, "1h"), (86400, "1d"), (5.714, "5714ms")],
)
def test_durations_are_written_as_prometheus_reads_them(seconds, text):
    assert write_duration(seconds) == text


# The parser reads milliseconds into 32 bits, and no zero.
@given(st.integers(1, 2**32 - 1))
def test_a_written_duration_is_read_back_to_the_millisecond(milliseconds):
    assert promql_parser.parse_duration(write_duration(milliseconds / 1000)) == timedelta(milliseconds=milliseconds)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_written_threshold_is_read_back(number):
    assert float(write_threshold(number)) == number


@pytest.mark.parametrize(("number", "text"), [(14.0, "14"), (14.4, "14.4"), (-250.0, "-250"), (0.62, "0.62")])
def test_thresholds_are_written_without_loss(number, text):
    assert write_threshold(number) == text
    assert float(text) == number


def test_a_field_that_is_not_in_the_contract_is_named_with_the_nearest():
    words = "`monitoring.drift.maximal_shift` must be a field of the contract, but is not. Did you mean 'monitoring."
    with pytest.raises(ContractError, match=re.escape(words)):
        read_field(PROBLEM, "monitoring.drift.maximal_shift")
    assert "sources.flights.maximum_quarantine_ratio" not in list_limits(PROBLEM)
