"""The limits of a rollout over canned answers of Prometheus."""

import math
import re
from pathlib import Path

import pytest

from components.base.adapters.prometheus_api import SeriesValue
from components.base.contract.load import load_problem
from components.base.settings import load_settings
from components.serving import rollout_limits
from components.serving.inference_service import ServedVersion
from components.serving.rollout_limits import RolloutLimits

PROBLEM = load_problem(Path(__file__).parents[3] / "pipelines" / "problems" / "flight-delays.yaml")
SETTINGS = load_settings({"TIDEMILL_PROMETHEUS_URL": "http://prometheus:9090"})
CANDIDATE = ServedVersion(PROBLEM, "3", "s3://b/3", {})
GOOD = {
    "requests": {"2": 9000.0, "3": 1000.0},
    "errors": {"3": 0.0},
    "p99": 0.02,
    "missing": {"2": 900.0, "3": 120.0},
    "histograms": ["probability"],
    "bins": {"2": [0, 4000, 9000], "3": [0, 450, 1000]},
}


def answer(found, query):
    """Evaluate the queries of the limits over a table."""
    version = re.search(r'model_version="(\d)"', query)[1]
    if "histogram_quantile" in query:
        return [SeriesValue({}, found["p99"])]
    if "group by (__name__)" in query:
        return [SeriesValue({"__name__": f"tidemill_predictor_{name}_bucket"}, 1.0) for name in found["histograms"]]
    if "missing_features" in query:
        return [SeriesValue({"feature": "plane_seats"}, found["missing"][version])]
    if "probability_bucket" in query:
        return [SeriesValue({"le": str(i)}, float(rows)) for i, rows in enumerate(found["bins"][version])]
    if 'code=~"5.."' in query:
        return [SeriesValue({}, found["errors"][version])]
    return [SeriesValue({}, found["requests"][version])] if found["requests"] else []


@pytest.fixture
def prometheus(monkeypatch):
    found, times = dict(GOOD), set()

    def query(url, text, at=None):
        times.add(at)
        return answer(found, text)

    def number(url, text, at=None):
        samples = query(url, text, at)
        return samples[0].value if samples else math.nan

    monkeypatch.setattr(rollout_limits, "query_prometheus", query)
    monkeypatch.setattr(rollout_limits, "read_number", number)
    found["times"] = times
    return found


def verdicts():
    return {gate.name: gate.verdict for gate in RolloutLimits(CANDIDATE, "2", SETTINGS).read(10, 120)}


def test_a_candidate_like_the_champion_passes_and_all_queries_are_of_one_time(prometheus):
    assert set(verdicts().values()) == {"pass"}
    assert len(prometheus["times"]) == 1


@pytest.mark.parametrize(
    ("change", "gate"),
    [
        ({"errors": {"3": 30.0}}, "error_ratio"),
        ({"p99": 0.08}, "canary_p99_milliseconds"),
        ({"missing": {"2": 900.0, "3": 300.0}}, "missing_rise"),
        ({"bins": {"2": [0, 4000, 9000], "3": [0, 50, 1000]}}, "score_psi"),
    ],
)
def test_each_limit_fails_alone(prometheus, change, gate):
    prometheus |= change
    assert [name for name, verdict in verdicts().items() if verdict == "fail"] == [gate]


def test_times_are_no_scores_where_the_scrape_gives_the_version_to_every_series(prometheus):
    prometheus |= {"histograms": ["lookup_seconds", "probability", "request_seconds"]}
    reasons = [
        gate.reason for gate in RolloutLimits(CANDIDATE, "2", SETTINGS).read(10, 120) if gate.name == "score_psi"
    ]
    assert len(reasons) == 1
    assert "tidemill_predictor_probability" in reasons[0]


def test_without_traffic_or_prometheus_nothing_is_measured(prometheus):
    prometheus |= {"requests": {}, "p99": math.nan, "bins": {"2": [], "3": []}}
    gates = RolloutLimits(CANDIDATE, "2", SETTINGS).read(10, 120)
    assert {gate.value for gate in gates} == {None}
    assert {gate.verdict for gate in gates} == {"not judged"}
    assert not any(gate.blocks for gate in gates)
    assert RolloutLimits(CANDIDATE, "2", load_settings({})).read(10, 120) == []
