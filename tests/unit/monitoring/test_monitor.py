"""One monitoring run over a real object store, a real registry and real feature tables."""

import re
import uuid
from datetime import timedelta
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from components.base.adapters.s3 import open_store
from components.base.errors import PermanentError
from components.base.settings import load_settings
from components.data.history import find_since
from components.features.feast.feature_store import declared_views
from components.monitoring.labels import read_labels
from components.monitoring.monitor import describe_result, monitor_window, publish_result
from components.monitoring.results import read_results
from components.tasks import open_task
from tests.unit.monitoring.flights_world import (
    AS_OF,
    FEATURES,
    PROBLEM,
    START,
    TASK,
    allow_duckdb,
    log_rows,
    make_flights,
    put_flights,
    put_log,
)
from tests.unit.monitoring.models_world import RISK, promote_model, write_features
from tests.unit.monitoring.parts import window

CHANGE = START + timedelta(days=5)
NUMERIC = [feature for feature in FEATURES if feature.kind == "numeric"]


@pytest.fixture(scope="module")
def world(seaweedfs, tmp_path_factory):
    """Two versions, the second the champion, which served the last 25 days of the window; no test changes it."""
    folder = tmp_path_factory.mktemp("world")
    settings = load_settings({"TIDEMILL_HOME": str(folder / "home"), "TIDEMILL_BUCKET": f"test-{uuid.uuid4().hex}"})
    settings = settings.with_store(seaweedfs.endpoint)
    settings.home.mkdir()
    store = open_store(settings)
    store.ensure_bucket()
    promote_model(settings, folder / "first", features=FEATURES[:2])
    _, model = promote_model(settings, folder / "second")
    flights = make_flights(per_day=120)
    served = flights.assign(probability=model.predict(flights.assign(**{RISK: flights["risk"]}))[:, 0])
    views = declared_views(PROBLEM)
    names = [view.name for view in views]
    before = served["event_time"] < CHANGE
    put_log(store, log_rows(served[before], "1", features=NUMERIC[:1], views=names), "one")
    put_log(store, log_rows(served[~before], "2", features=NUMERIC, views=names), "two")
    put_log(store, log_rows(served[~before].head(3), "2", features=NUMERIC, views=names), "two-again")
    features = write_features(folder / "features", flights, views)
    with pytest.MonkeyPatch.context() as patch:
        allow_duckdb(settings, patch)
        yield SimpleNamespace(settings=settings, store=store, served=served, features=features)


@pytest.fixture
def problem_with_history():
    return PROBLEM.model_copy(update={"refresh": PROBLEM.refresh.model_copy(update={"history_days": 60})})


@pytest.fixture
def run(world, tmp_path):
    """Monitor as of a moment, with other outcomes if given."""

    def monitor(late=None, as_of=AS_OF, outcome_at=None):
        flights = world.served if late is None else world.served.assign(late=late)
        if outcome_at is not None:
            flights = flights.assign(outcome_at=outcome_at)
        accepted = put_flights(tmp_path / "accepted", flights[world.served["outcome_at"] <= as_of])
        return monitor_window(TASK, accepted, world.features, as_of, world.settings)

    return monitor


def test_model_is_measured_on_the_rows_of_the_champion(run):
    result = run()
    assert (result.model_version, result.previous_version, result.model_rows) == ("2", "1", 3000)
    assert (result.traffic.rows, result.traffic.repeated_rows) == (3600, 3)
    assert result.traffic.versions == {"1": 600, "2": 3000}
    assert (result.labels.due, result.labels.coverage_ratio) == (29 * 120 + 1, 1.0)
    assert result.performance.rows == 29 * 120 + 1 - 600
    assert result.performance.scores["roc_auc"].estimate > 0.7
    assert result.performance.at_release == {"roc_auc": 0.75}
    assert not result.performance.is_below_limit
    assert result.features[0].name == RISK
    assert result.skew.different_ratio == 0
    assert [view.median_seconds for view in result.views] == pytest.approx([600] * len(result.views), rel=0.02)


def test_a_label_that_was_known_before_the_prediction_is_named_and_not_counted(run, world):
    """The clocks of 183 requests are a day late: their outcome was known when they asked."""
    known = world.served["outcome_at"].where(np.arange(len(world.served)) >= 183 + 600, START - timedelta(days=1))
    before, result = run(), run(outcome_at=known)
    assert result.labels.known_before == 183 + 600
    assert result.performance.rows == before.performance.rows - 183
    assert result.labels.lag_hours_median == before.labels.lag_hours_median
    titles = [finding.title for finding in result.findings if finding.severity == "critical"]
    assert "Predictions were asked for after their outcome was known" in titles


def test_value_is_compared_with_the_current_solution_and_the_previous_champion(run):
    contenders = run().value.contenders
    assert contenders["served"].label == "version 2"
    assert contenders["current_solution"].label == "carrier_hour_rule"
    assert contenders["previous"].label == "version 1"
    assert (contenders["no_action"].label, contenders["no_action"].actions) == ("no action", 0)
    assert contenders["previous"].gain_of_served_per_1000.low > 0


def test_labels_that_mean_something_else_are_said(world, run):
    coin = np.random.default_rng(8).random(len(world.served)) < 0.25
    result = run(late=coin)
    assert result.performance.is_below_limit
    titles = [finding.title for finding in result.findings]
    assert titles[0] == "The ROC AUC is below its limit"
    assert "The same inputs now mean something else" in titles


def test_result_without_the_events_of_long_ago_is_that_of_all(world, tmp_path, problem_with_history):
    """Flights and features of the year before change nothing, and neither is read."""
    older = make_flights(days=300, per_day=20, start=START - timedelta(days=300), seed=3)
    older["flight"] += 100_000
    everything = pd.concat([older, world.served], ignore_index=True)
    everything = everything[everything["outcome_at"] <= AS_OF]
    since = find_since(problem_with_history, "monitoring", AS_OF, world.settings)
    # The champion was trained at the start of the window, two days after the first label that a run waits for.
    assert since == START - timedelta(days=2 + 60)
    results = []
    for name, rows, start in (
        ("all", everything, None),
        ("new", everything[everything["outcome_at"] >= since], since),
    ):
        accepted = put_flights(tmp_path / name / "accepted", rows)
        features = write_features(tmp_path / name / "features", rows, declared_views(PROBLEM))
        results.append(monitor_window(TASK, accepted, features, AS_OF, world.settings, start))
    full, new = (result.model_copy(update={"computed_at": AS_OF, "seconds": 0.0}) for result in results)
    assert new == full
    assert new.labels.new_since_training == (everything["outcome_at"] > START).sum()


def test_champion_that_was_trained_before_what_was_read_is_refused(world, tmp_path):
    accepted = put_flights(tmp_path / "accepted", world.served)
    with pytest.raises(PermanentError, match="events must be read since the champion was trained"):
        monitor_window(TASK, accepted, world.features, AS_OF, world.settings, START + timedelta(days=1))


def test_result_is_published_where_others_read_it(world, run, tmp_path):
    result = run()
    publish_result(TASK, result, world.settings, tmp_path / "result" / "result.json")
    assert read_results(world.store, PROBLEM.name) == [result]
    score = result.performance.scores["roc_auc"]
    assert describe_result(TASK, result).startswith(
        f"3,000 rows of version 2, 2,881 labelled; ROC AUC {score.estimate:.3f} ("
    )


def test_run_that_is_repeated_finds_the_same(run):
    varying = {"computed_at", "seconds"}
    first, again = run().model_dump(exclude=varying), run().model_dump(exclude=varying)
    assert first == again


def test_window_without_predictions_is_a_result_and_not_a_crash(world, run):
    result = run(as_of=AS_OF + timedelta(days=60))
    assert (result.traffic.rows, result.model_rows, result.performance, result.value) == (0, 0, None, None)
    assert result.findings[0].title == "Nothing was predicted"
    assert result.labels.new_since_training == len(world.served)


def test_version_that_has_not_served_yet_waits(run):
    result = run(as_of=CHANGE)
    assert (result.model_version, result.model_rows, result.performance) == ("2", 0, None)
    assert result.traffic.versions == {"1": 600}
    assert [finding.severity for finding in result.findings if finding.topic == "traffic"] == ["note"]


def test_label_that_came_after_its_window_is_in_the_ledger(world, run):
    """The window has moved on by its whole length: the last flights of the one before were unlabelled at its end."""
    for entry in world.store.list_objects(f"{PROBLEM.name}/labels/"):
        world.store.delete(entry.key)
    middle = START + timedelta(days=15)
    run(as_of=middle)
    run(as_of=middle + timedelta(days=PROBLEM.monitoring.window_days))
    labels = read_labels(PROBLEM, world.store, middle + timedelta(days=PROBLEM.monitoring.window_days)).to_pandas()
    waiting = world.served[(world.served["event_time"] < middle) & (world.served["outcome_at"] > middle)]
    assert len(waiting) == 29
    assert set(waiting["flight"]) <= set(labels["flight"])


def test_problem_without_champion_says_what_to_run(world, tmp_path):
    other = PROBLEM.model_copy(update={"name": "other-problem"})
    words = "monitor other-problem: a version must be the champion, but the registry has none."
    with pytest.raises(PermanentError, match=re.escape(words)):
        monitor_window(open_task(other), tmp_path, world.features, AS_OF, world.settings)


def test_window_of_one_outcome_is_described_without_its_ranking():
    month = window(8)
    performance = month.performance.model_copy(update={"scores": {}})
    described = describe_result(TASK, month.model_copy(update={"performance": performance, "findings": ()}))
    assert described.endswith(" labelled, 0 findings")
