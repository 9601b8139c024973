import re
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from components.base.contract.load import load_problem
from components.base.contract.problem import AcceptedFinding
from components.base.dataset import Feature, Prepared
from components.base.documents import read as read_document
from components.base.errors import DataError
from components.features.explore.documents import Findings
from components.features.explore.explore import explore_training_rows
from components.features.explore.findings.finding import rank_statements
from components.features.explore.profile import read_profile
from components.features.explore.training_rows import read_training_rows
from components.tasks import open_task
from components.tasks.binary.explore.features import find_leaks, find_strongest
from components.tasks.binary.explore.gaps import find_speaking_gaps
from components.tasks.binary.explore.outcome import find_daily_load, find_over_time

ROOT = Path(__file__).parents[3]
FEATURES = (
    Feature("hour", "numeric", "request", "Scheduled hour", "hours"),
    Feature("hour_copy", "numeric", "view", "The same hour, rounded", "hours"),
    Feature("wind", "numeric", "view", "Wind speed", "miles per hour"),
    Feature("constant", "numeric", "view", "Always 1"),
    Feature("carrier", "categorical", "request", "Carrier"),
)


@pytest.fixture(scope="module")
def problem():
    return load_problem(ROOT / "pipelines" / "problems" / "flight-delays.yaml")


def make_rows(rows=6000, seed=5):
    rng = np.random.default_rng(seed)
    hour, carrier = rng.integers(5, 23, rows).astype(float), rng.choice(["AA", "UA", "<b>&"], rows)
    late = (rng.random(rows) < 0.02 * (hour - 4) + 0.1 * (carrier == "UA")).astype("int8")
    wind = np.where(rng.random(rows) < 0.1 * (1 + 3 * late), np.nan, rng.gamma(2, 5, rows))
    times = pd.Timestamp("2013-01-01", tz="UTC") + pd.to_timedelta(np.sort(rng.integers(0, 60 * 24, rows)), unit="h")
    return pd.DataFrame(
        {
            "carrier": carrier.astype(object), "predicted_at": times.astype("datetime64[us, UTC]"), "late": late,
            "hour": hour, "hour_copy": np.round(hour / 2), "wind": wind, "constant": 1.0,
        }
    )  # fmt: skip


def explore(problem, folder, rows, features=FEATURES):
    """Only train.parquet exists: whoever opens other rows fails."""
    folder.mkdir(exist_ok=True)
    rows.to_parquet(folder / "train.parquet", index=False)
    prepared = Prepared(folder, "late", features, {}, {"train": len(rows)}, "")
    return explore_training_rows(open_task(problem), prepared, folder / "out")


def read(problem, folder, rows, features=FEATURES):
    rows.to_parquet(folder / "train.parquet", index=False)
    return read_training_rows(open_task(problem), Prepared(folder, "late", features, {}, {"train": len(rows)}, ""))


@pytest.fixture(scope="module")
def explored(problem, tmp_path_factory):
    folder = tmp_path_factory.mktemp("explored")
    return folder / "out", explore(problem, folder, make_rows())


def by_id(result):
    return {finding.id: finding for finding in result.findings}


def test_explore_needs_no_other_rows_than_train(explored):
    folder, result = explored
    assert sorted(file.name for file in folder.parent.iterdir()) == ["out", "train.parquet"]
    assert read_document(Findings, folder / "findings.json") == result
    assert result.rows == 6000


def test_the_column_of_the_time_of_prediction_may_have_any_name(problem, tmp_path, explored):
    named = problem.examples.model_copy(update={"predicted_at": "asked_at", "label_at": "paid_back_at"})
    found = explore(problem.model_copy(update={"examples": named}), tmp_path, make_rows())
    assert found.findings == explored[1].findings


def test_every_finding_has_its_own_picture_with_alternative_text(explored):
    folder, result = explored
    assert len({finding.picture for finding in result.findings}) == len(result.findings) >= 10
    for finding in result.findings:
        root = ET.fromstring((folder / finding.picture).read_text())
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        assert root.attrib["aria-label"] == finding.alt


def test_findings_say_their_numbers(explored):
    _, result = explored
    assert all(re.search(r"\d|No ", finding.headline) for finding in result.findings)
    rows = make_rows()
    assert f"{rows.late.mean() * 100:.1f}% of flights were late" in by_id(result)["outcome_over_time"].headline
    assert f"{rows.late[rows.carrier == 'UA'].mean() * 100:.1f}% late" in by_id(result)["group_carrier"].headline


def test_findings_are_ranked_by_severity_then_leaks_then_effect(explored):
    order = ["critical", "warning", "insight", "note"]
    ranks = [(order.index(f.severity), f.kind != "leak", -f.effect) for f in explored[1].findings]
    assert ranks == sorted(ranks)


def test_missing_values_that_go_with_the_outcome_are_found(explored):
    finding = by_id(explored[1])["speaking_gaps"]
    assert finding.feature == "wind"
    assert finding.headline.startswith("Where wind is missing (")


def test_redundant_features_are_named_together(explored):
    assert "hour and hour copy" in by_id(explored[1])["redundant_features"].headline


def test_honest_features_raise_no_leak_alarm(explored):
    assert by_id(explored[1])["leak_suspects"].severity == "note"


def test_a_planted_leak_is_critical_and_comes_first(problem, tmp_path):
    rows = make_rows()
    rows["delay"] = rows["late"] * 30 + np.random.default_rng(0).normal(0, 3, len(rows))
    training = read(problem, tmp_path, rows, (*FEATURES, Feature("delay", "numeric", "view", "The answer", "minutes")))
    statements = [*find_over_time(training), *find_strongest(training), *find_leaks(training)]
    first = rank_statements(statements)[0].finding
    assert (first.id, first.severity, first.feature) == ("leak_suspects", "critical", "delay")
    assert "1 of 6 features look like the answer itself: delay" in first.headline


def test_copy_of_a_rare_outcome_is_a_leak(problem, tmp_path):
    """With 3 % of the rows late, all quantiles of the copy are 0."""
    rows = make_rows()
    rows["late"] = (np.random.default_rng(1).random(len(rows)) < 0.03).astype("int8")
    rows["fined"] = rows["late"].astype("float64")
    training = read(problem, tmp_path, rows, (*FEATURES, Feature("fined", "numeric", "view", "The answer")))
    (leak,) = find_leaks(training)
    assert (leak.finding.severity, leak.finding.blamed) == ("critical", ("fined",))
    assert training.measured["fined"].association.strength > 0.95


@pytest.fixture
def explore_leak(problem, tmp_path):
    """Explore rows with a feature that knows the answer, under a contract that accepts these findings."""
    rows = make_rows()
    rows["delay"] = rows["late"] * 30 + np.random.default_rng(0).normal(0, 3, len(rows))
    features = (*FEATURES, Feature("delay", "numeric", "view", "The answer", "minutes"))

    def run(*accepted):
        found = [AcceptedFinding(**one) for one in accepted]
        return explore(problem.model_copy(update={"accepted_findings": found}), tmp_path, rows, features)

    return run


@pytest.mark.parametrize(
    "accepted",
    [
        [],
        [{"finding": "speaking_gaps", "features": ["delay"], "reason": "Another one."}],
        [{"finding": "leak_suspects", "features": ["wind"], "reason": "Another feature."}],
    ],
)
def test_leak_that_the_contract_does_not_accept_stops_the_run_and_leaves_its_picture(accepted, explore_leak, tmp_path):
    with pytest.raises(DataError) as stopped:
        explore_leak(*accepted)
    assert "look like the answer itself: delay" in str(stopped.value)
    assert "{finding: leak_suspects, features: [delay], reason: ...}" in str(stopped.value)
    assert by_id(read_document(Findings, tmp_path / "out" / "findings.json"))["leak_suspects"].severity == "critical"
    assert (tmp_path / "out" / "leak_suspects.svg").is_file()


def test_leak_that_the_contract_accepts_by_name_keeps_the_reason(explore_leak):
    explored = explore_leak(
        {"finding": "leak_suspects", "features": ["delay"], "reason": "Known when it is asked for."}
    )
    assert by_id(explored)["leak_suspects"].accepted == "Known when it is asked for."


def test_a_value_erased_by_the_outcome_is_a_leak_warning(problem, tmp_path):
    rows = make_rows()
    erased = (rows["late"] == 1) & (np.arange(len(rows)) % 5 == 0)
    rows["carrier"] = rows["carrier"].where(~erased, None)
    (statement,) = find_speaking_gaps(read(problem, tmp_path, rows))
    finding = statement.finding
    assert (finding.kind, finding.severity, finding.feature) == ("leak", "warning", "carrier")
    assert "100.0% were late" in finding.headline


def test_perfect_foresight_is_limited_by_the_capacity_of_each_shift(problem, tmp_path):
    rows = make_rows(60_000)
    (statement,) = find_daily_load(read(problem, tmp_path, rows))
    an_hour = problem.business.capacity_per_day // 24
    assert problem.business.capacity_periods_per_day == 24
    by_hour = rows.groupby(rows["predicted_at"].dt.floor("h"))["late"].sum()
    share = by_hour.clip(upper=an_hour).sum() / by_hour.sum()
    assert 0.5 < share < 0.99
    assert f"even perfect foresight could act on {share * 100:.0f}% of them" in statement.finding.headline


def test_rows_with_a_single_outcome_are_explored(problem, tmp_path):
    rows = make_rows(300).assign(late=np.int8(1))
    assert explore(problem, tmp_path, rows).outcome.mean == 1


def test_a_handful_of_rows_with_a_feature_never_seen_is_explored(problem, tmp_path):
    rows = make_rows(8).assign(wind=np.nan)
    assert {"missing_values", "strongest_features"} & by_id(explore(problem, tmp_path, rows)).keys()


def test_the_same_rows_give_the_same_files(problem, tmp_path, explored):
    explore(problem, tmp_path, make_rows())
    for file in explored[0].glob("*.svg"):
        assert file.read_bytes() == (tmp_path / "out" / file.name).read_bytes()


def watch(problem, **changes):
    """Return the contract with other settings of monitoring."""
    return problem.model_copy(update={"monitoring": problem.monitoring.model_copy(update=changes)})


def test_profile_tells_how_far_each_feature_moved_in_windows_as_long_as_those_of_monitoring(problem, tmp_path):
    rows = make_rows()
    is_odd_week = rows["predicted_at"].dt.dayofyear // 7 % 2 == 1
    moved = rows.assign(hour=rows["hour"] + 30 * is_odd_week)
    for days in (7, 28):
        explore(watch(problem, window_days=days), tmp_path / str(days), moved)
    week, month = (read_profile(tmp_path / str(days) / "out" / "profile.json") for days in (7, 28))
    assert (week.shift_days, month.shift_days) == (7, 28)
    assert set(week.shifts) == {feature.name for feature in FEATURES}
    # What alternates from week to week moves a week far away, and four weeks hardly.
    assert week.shifts["hour"] > 1
    assert month.shifts["hour"] < 0.1
    assert week.shifts["wind"] < 0.2
    assert week.shifts["constant"] == 0


def test_training_of_less_than_two_windows_is_measured_in_shorter_ones_and_says_so(problem, tmp_path):
    # Sixty days of training.
    found = by_id(explore(watch(problem, window_days=90), tmp_path, make_rows()))["shifts"]
    assert read_profile(tmp_path / "out" / "profile.json").shift_days == 30
    assert "in the 31 windows of 30 days within training" in found.detail
    assert "Monitoring judges 90 days together, of which training has fewer than two" in found.detail
    enough = by_id(explore(watch(problem, window_days=30), tmp_path, make_rows()))["shifts"]
    assert "31 windows of 30 days" in enough.detail
    assert "fewer than two" not in enough.detail


def test_windows_of_too_few_rows_are_not_measured_and_the_finding_says_so(problem, tmp_path):
    found = by_id(explore(watch(problem, window_days=1), tmp_path, make_rows()))["shifts"]
    profile = read_profile(tmp_path / "out" / "profile.json")
    assert (profile.shifts, profile.shift_days) == ({}, 0)
    assert "No window within training has 500 rows" in found.detail
