"""Performance on matured labels: scores and intervals against scikit-learn and closed forms, limits, slices."""

import numpy as np
import pytest
from sklearn import metrics

from components.base.contract.monitoring import PerformanceLimit
from components.base.statistics.resampling import Interval
from components.base.task import Outcome
from components.models.documents import SliceRecord
from components.models.parallel import quiet_fits
from components.monitoring.performance import estimate_performance, is_beyond, measure_performance
from components.monitoring.results import Estimate
from components.tasks import open_task
from tests.unit.made_models import make_contender, make_evaluation
from tests.unit.monitoring.flights_world import PROBLEM, TASK, make_flights, make_rows, sigmoid


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    """Draw as the step does: BLAS on one thread, or its threads wait for each other where tests run side by side."""
    with quiet_fits():
        yield


def release_slice(group, score):
    return SliceRecord(
        column="origin",
        group=group,
        rows=900,
        outcome=Outcome(900, 0.3, {}),
        limit=0.05,
        gated=score is not None,
        verdict="pass",
        reference_name="champion",
        score=score,
    )


UNKNOWN = float("nan")
EVALUATION = make_evaluation(
    contenders={
        "challenger": make_contender(
            scores={"roc_auc": Interval(0.75, 0.7, 0.8), "brier": Interval(UNKNOWN, UNKNOWN, UNKNOWN)}
        )
    },
    slices=(release_slice("EWR", Interval(0.5, 0.4, 0.6)), release_slice("JFK", None)),
)


def measure(flights, problem=PROBLEM, **changes):
    slices = {"origin": flights["origin"], "carrier": flights["carrier"]}
    return measure_performance(open_task(problem), make_rows(flights, **changes), slices, EVALUATION)


def with_limit(**limit):
    monitoring = PROBLEM.monitoring.model_copy(update={"performance": PerformanceLimit(**limit)})
    return PROBLEM.model_copy(update={"monitoring": monitoring})


def test_scores_are_those_of_scikit_learn_on_the_scored_rows():
    flights = make_flights()
    scored = flights[make_rows(flights).scored]
    y, p = scored["late"], scored["probability"]
    scores = measure(flights).scores
    assert scores["roc_auc"].estimate == pytest.approx(metrics.roc_auc_score(y, p))
    assert scores["average_precision"].estimate == pytest.approx(metrics.average_precision_score(y, p))
    assert scores["brier"].estimate == pytest.approx(metrics.brier_score_loss(y, p))
    assert scores["log_loss"].estimate == pytest.approx(metrics.log_loss(y, p))
    assert scores["f1"].estimate == pytest.approx(metrics.f1_score(y, p >= 0.3))


def test_f1_is_at_the_threshold_of_each_row():
    flights = make_flights()
    thresholds = np.where(np.arange(len(flights)) % 2, 0.2, 0.6)
    scored = make_rows(flights).scored
    expected = metrics.f1_score(flights["late"][scored], (flights["probability"] >= thresholds)[scored])
    assert measure(flights, thresholds=thresholds).scores["f1"].estimate == pytest.approx(expected)


def test_interval_holds_the_true_score_in_most_windows():
    """Of 12 windows of independent rows at least 9 must: for a right interval fewer have a chance of 0.2 percent."""
    truth = metrics.roc_auc_score(*make_flights(days=2000, seed=99)[["late", "probability"]].to_numpy(float).T)
    whole = PROBLEM.model_copy(update={"slices": []})
    found = [measure(make_flights(per_day=30, seed=seed), whole).scores["roc_auc"] for seed in range(12)]
    assert sum(score.low <= truth <= score.high for score in found) >= 9


def test_window_without_enough_labels_is_not_scored():
    flights = make_flights()
    outcomes = np.where(np.arange(len(flights)) < PROBLEM.monitoring.minimum_rows - 1, flights["late"], np.nan)
    assert measure(flights, outcomes=outcomes) is None


def test_rows_of_other_versions_do_not_count():
    flights = make_flights(per_day=120)
    of_champion = np.arange(len(flights)) % 2 == 0
    performance = measure(flights, of_champion=of_champion)
    assert performance.rows == (make_rows(flights).scored & of_champion).sum()


@pytest.mark.parametrize(
    ("low", "high", "limit", "beyond"),
    [
        (0.55, 0.61, {"minimum": 0.62}, True),
        (0.55, 0.63, {"minimum": 0.62}, False),
        (0.66, 0.70, {"minimum": 0.62}, False),
        (None, None, {"minimum": 0.62}, False),
        (0.21, 0.25, {"maximum": 0.2}, True),
        (0.19, 0.25, {"maximum": 0.2}, False),
        (0.10, 0.15, {"maximum": 0.2}, False),
    ],
)
def test_alert_needs_the_whole_interval_beyond_the_limit(low, high, limit, beyond):
    assert is_beyond(Estimate(estimate=0.6, low=low, high=high), PerformanceLimit(metric="roc_auc", **limit)) is beyond


def test_change_of_concept_is_below_the_limit():
    flights = make_flights(per_day=200)
    coin = np.random.default_rng(0).random(len(flights)) < 0.2
    assert not measure(flights).is_below_limit
    assert measure(flights.assign(late=coin)).is_below_limit


def test_limit_of_a_loss_is_a_maximum():
    flights = make_flights(per_day=200)
    assert measure(flights, with_limit(metric="brier", maximum=0.1)).is_below_limit
    assert not measure(flights, with_limit(metric="brier", maximum=0.3)).is_below_limit


def test_slices_stand_beside_their_score_at_release():
    flights = make_flights(per_day=60)
    slices = {(one.column, one.value): one for one in measure(flights).slices}
    # The contract asks for 500 rows a group, and a carrier has a third of 1,740.
    assert set(slices) == {("origin", "EWR"), ("origin", "JFK"), *(("carrier", name) for name in ("B6", "DL", "UA"))}
    assert (slices["origin", "EWR"].at_release, slices["origin", "JFK"].at_release) == (0.5, None)
    scored = flights[make_rows(flights).scored & (flights["origin"] == "EWR")]
    expected = metrics.average_precision_score(scored["late"], scored["probability"])
    assert slices["origin", "EWR"].score.estimate == pytest.approx(expected)


def test_slice_with_few_rows_is_left_out():
    flights = make_flights(per_day=60).assign(carrier=["HA"] * 50 + ["UA"] * 1750)
    assert [one.value for one in measure(flights).slices if one.column == "carrier"] == ["UA"]


def test_window_of_one_outcome_has_no_ranking_and_no_alert():
    flights = make_flights()
    performance = measure(flights, outcomes=np.zeros(len(flights)))
    assert "roc_auc" not in performance.scores
    assert "brier" in performance.scores
    assert not performance.is_below_limit


def test_release_scores_that_are_unknown_are_left_out():
    assert measure(make_flights()).at_release == {"roc_auc": 0.75}


def test_release_of_an_older_platform_has_no_scores_to_compare_with():
    flights = make_flights(per_day=60)
    slices = {"origin": flights["origin"], "carrier": flights["carrier"]}
    performance = measure_performance(TASK, make_rows(flights), slices, None)
    assert performance.at_release == {}
    assert {one.at_release for one in performance.slices} == {None}


def test_estimate_is_of_the_rows_whose_label_is_missing():
    """Half the labels never come, and where they are missing the model has an easier time: the estimate sees that."""
    flights = make_flights(per_day=200)
    is_easy = np.arange(len(flights)) % 2 == 1
    sharp = np.where(is_easy, sigmoid(4 * flights["risk"] - 1), flights["probability"])
    late = np.random.default_rng(1).random(len(flights)) < sharp
    rows = make_rows(flights, probabilities=sharp, outcomes=np.where(is_easy, np.nan, late))
    found = {one.metric: one for one in estimate_performance(TASK, rows)}["roc_auc"]
    open_rows = ~rows.scored
    assert found.rows == open_rows.sum()
    assert found.score == pytest.approx(metrics.roc_auc_score(late[open_rows], sharp[open_rows]), abs=0.02)
    assert found.on_labelled == pytest.approx(metrics.roc_auc_score(late[rows.scored], sharp[rows.scored]), abs=0.03)
    assert found.score > found.on_labelled + 0.1


def test_nothing_is_estimated_from_a_handful_of_rows():
    assert estimate_performance(TASK, make_rows(make_flights())) == ()


def test_estimate_stands_alone_where_no_label_has_come():
    rows = make_rows(make_flights(), outcomes=np.full(1800, np.nan))
    assert {one.on_labelled for one in estimate_performance(TASK, rows)} == {None}


def test_equal_documents_come_of_equal_rows():
    flights = make_flights()
    assert measure(flights) == measure(flights)
