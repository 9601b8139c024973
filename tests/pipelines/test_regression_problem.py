"""A regression runs the whole way on this machine: trained, served, asked, refreshed, monitored and reported."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml

from components.base.settings import load_settings
from components.serving.endpoint import start_endpoint
from pipelines.commands.app import main
from pipelines.runners.services import embedded_services
from pipelines.simulation.demo_data import list_deliveries
from pipelines.simulation.traffic import read_flights

PROBLEMS = Path(__file__).parents[2] / "pipelines" / "problems"
NAME, TRAINED, WATCHED = "flight-minutes", "2013-03-01", "2013-03-04"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home in which the problem, cut to five weeks, two families and two trials, was trained and promoted."""
    folder = tmp_path_factory.mktemp("minutes")
    contract = yaml.safe_load((PROBLEMS / f"{NAME}.yaml").read_text())
    contract["split"] |= {"train_days": 21, "validation_days": 10, "test_days": 10, "minimum_rows": 500}
    contract["search"] |= {"candidates": ["ridge", "hist_gradient_boosting"], "keep": 1, "trials": 2}
    contract["search"] |= {"select_rows": 3000, "tune_rows": 3000}
    # A rule that knows one median for all, so that the few rows make a release that is accepted.
    contract["baseline"] |= {"minimum_rows": 1_000_000}
    contract["metrics"] |= {"minimum_lift": 0.0, "guards": [], "maximum_generalisation_gap": 50.0}
    contract["business"] |= {"minimum_lift_per_1000": 0.0}
    contract["monitoring"] |= {"minimum_rows": 200, "window_days": 3}
    contract["serving"] |= {"p99_milliseconds": 1000}
    (folder / "problems").mkdir()
    (folder / "problems" / f"{NAME}.yaml").write_text(yaml.safe_dump(contract))
    with pytest.MonkeyPatch.context() as patched:
        # boto3 keeps the credentials of the first store of a process.
        patched.setattr(boto3, "DEFAULT_SESSION", None)
        patched.setenv("TIDEMILL_HOME", str(folder / "home"))
        patched.setenv("TIDEMILL_PROBLEMS", str(folder / "problems"))
        assert main(["run", "training", "--problem", NAME, "--as-of", TRAINED]) == 0
        yield folder / "home"


def read_last_run(home: Path) -> dict[str, Any]:
    record: dict[str, Any] = json.loads((home / "last-run.json").read_text())
    return record


def list_requests() -> list[dict[str, Any]]:
    """The flights that are predicted in the hours after the training."""
    march = dict(list_deliveries("2013-03-31", 1))["flights/2013-03.csv"]
    flights = read_flights(march, datetime(2013, 3, 1, 6, tzinfo=UTC), datetime(2013, 3, 1, 22, tzinfo=UTC))
    rows: list[dict[str, Any]] = flights.drop(columns="predicted_at").to_dict("records")
    return rows


@pytest.mark.timeout(900)
def test_a_regression_is_released_asked_and_watched(home: Path) -> None:
    released = read_last_run(home)
    assert (released["status"], released["deployment"]) == ("done", "promoted"), released["reasons"]
    report = Path(released["report"]).read_text()
    assert "mean absolute error" in report
    assert "outcomes inside their interval" in report

    rows = list_requests()
    with embedded_services(load_settings()), start_endpoint(NAME, load_settings()) as endpoint:
        answers = ask(endpoint.url, rows)
    assert len(answers) == len(rows) > 200
    for answer in answers:
        assert answer["low"] <= answer["prediction"] <= answer["high"]
        assert isinstance(answer["decision"], float)

    assert main(["run", "refresh", "--problem", NAME, "--as-of", WATCHED]) == 0
    assert main(["run", "monitoring", "--problem", NAME, "--as-of", WATCHED]) == 0
    watched = read_last_run(home)
    assert watched["rows"] == len(rows)
    pages = Path(watched["report"]).parent
    assert "mean absolute error" in (pages / "daily.html").read_text()
    assert (pages / "kpi.html").is_file()


def ask(url: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Send the rows in one request and return the predictions."""
    import httpx

    answer = httpx.post(f"{url}/v1/models/{NAME}:predict", json={"instances": rows}, timeout=60, trust_env=False)
    assert answer.status_code == 200, answer.text
    predictions: list[dict[str, Any]] = answer.json()["predictions"]
    return predictions
