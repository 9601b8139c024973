"""The declarations of flight-delays are complete, and Feast's own command line takes them."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from components.base.adapters.duckdb import connect_duckdb
from components.base.contract.load import load_problem
from components.features.build import render_sql
from components.features.feast.feature_store import REPOSITORY, declarations_folder, declared_views

PROBLEM = load_problem(Path(__file__).parents[3] / "pipelines/problems/flight-delays.yaml")
VIEWS = declared_views(PROBLEM)


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
def test_every_view_has_its_sql_and_every_feature_its_words_and_unit(view):
    assert render_sql(declarations_folder(PROBLEM) / f"{view.name}.sql").startswith("-- ")
    for feature in view.features:
        assert len(feature.description) > 3
        assert feature.kind == "categorical" or feature.unit


def test_no_sql_is_left_without_a_view():
    assert {path.stem for path in declarations_folder(PROBLEM).glob("*.sql")} == {view.name for view in VIEWS}


def test_every_key_is_sent_by_a_request():
    sent = {*PROBLEM.examples.request, *PROBLEM.features.request}
    assert {key for view in VIEWS for key in view.keys} <= sent


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
def test_windows_do_not_outlive_the_view(view):
    """A count over two weeks that is served for a month would count other flights than its name says."""
    hours = {"h": 1, "d": 24}
    windows = [re.search(r"_(\d+)([hd])$", feature.name) for feature in view.features]
    longest = max((int(found[1]) * hours[found[2]] for found in windows if found), default=None)
    if longest is not None and view.ttl_seconds is not None:
        assert view.ttl_seconds <= longest * 3600


def test_window_of_the_docs_ends_at_the_prediction():
    """At any minute the newest row holds the share of late flights of the three hours before that minute."""
    (sql,) = re.findall(r"```sql\n(.*?)```", (REPOSITORY.parent / "docs/own-problem.md").read_text(), re.DOTALL)
    rng = np.random.default_rng(2)
    minutes = np.sort(rng.integers(0, 3 * 1440, 60))
    flights = pd.DataFrame({
        "carrier": rng.choice(["AA", "UA"], 60),
        "outcome_at": pd.Timestamp("2013-01-01", tz="UTC") + pd.to_timedelta(minutes, unit="min"),
        "late": rng.random(60) < 0.4,
    })  # fmt: skip
    connection = connect_duckdb()
    connection.register("flights", flights)
    rows = connection.execute(sql).df().sort_values("event_timestamp")
    for at in pd.date_range("2013-01-01", "2013-01-04", freq="17min", tz="UTC"):
        in_window = flights[(flights["outcome_at"] <= at) & (flights["outcome_at"] > at - pd.Timedelta(hours=3))]
        for carrier in ("AA", "UA"):
            wanted = in_window.loc[in_window["carrier"] == carrier, "late"].mean()
            known = rows[(rows["carrier"] == carrier) & (rows["event_timestamp"] <= at)]["carrier_late_ratio_3h"]
            got = known.iloc[-1] if len(known) else np.nan
            assert got == pytest.approx(wanted, nan_ok=True)


def _feast(*arguments, home):
    environment = {
        **os.environ,
        "TIDEMILL_REGISTRY": str(home / "registry.db"),
        "TIDEMILL_ONLINE_STORE": str(home / "online.db"),
    }
    command = [str(Path(sys.executable).with_name("feast")), *arguments]
    done = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_feast_applies_the_repository_as_a_user_would(tmp_path):
    applied = re.sub(r"\x1b\[\d+m", "", _feast("apply", home=tmp_path))
    assert all(f"Created feature view {view.name}\n" in applied for view in VIEWS)
    assert (tmp_path / "online.db").is_file()
