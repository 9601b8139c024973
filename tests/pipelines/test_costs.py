"""A cost that is changed in the contract changes threshold, value gate, alert and report; nothing else is edited."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.alerting.alerts import list_alerts
from components.alerting.prometheus_rules import render_rules
from components.base.contract.load import parse_problem
from components.base.contract.problem import Problem
from components.base.errors import ContractError, PermanentError
from components.base.task import Task
from components.exporter.samples import sample_contract
from components.models.artifact import Model
from components.models.documents import Evaluation
from components.models.ensemble import build_ensemble
from components.models.evaluate import evaluate_model
from components.reports.release.material import Material
from components.reports.release.present import draw_pictures, render_report
from components.tasks import open_task
from pipelines.commands import generated_files
from tests.unit.models.conftest import (  # noqa: F401 - fixtures
    fit_columns,
    one_thread,
    prepared,
    problem,
    task,
    tuned,
)
from tests.unit.pages import text_of

CONTRACT = Path(__file__).parents[2] / "pipelines" / "problems" / "flight-delays.yaml"
LIMIT = "monitoring.minimum_value_gain_per_1000"
BEFORE = {"true_positive": 1000, "false_positive": -400}
AFTER = {"true_positive": 3000, "false_positive": -150}


def read_contract(values: dict[str, float], **business: Any) -> Problem:
    """Read the contract of the repository with other values of decisions."""
    content = yaml.safe_load(CONTRACT.read_text())
    content["business"]["values"] |= values
    content["business"] |= business
    return parse_problem(yaml.safe_dump(content), "flight-delays.yaml")


@dataclasses.dataclass(frozen=True)
class Made:
    """What a release makes of a contract."""

    task: Task
    model: Model
    evaluation: Evaluation

    @property
    def gate(self) -> str:
        """The value gate in words."""
        return next(gate.reason for gate in self.evaluation.gates if gate.name == "beats_current_solution")

    @property
    def report(self) -> str:
        """The report in words."""
        material = Material(self.task, "run-1", "2013-07-01", evaluation=self.evaluation, model=self.model.description)
        return text_of(render_report(material, draw_pictures(material)))


@pytest.fixture(scope="module")
def made(prepared: Any, tuned: Any) -> list[Made]:  # noqa: F811
    """The release before and after the change."""
    releases = []
    for values in (BEFORE, AFTER):
        task = open_task(fit_columns(read_contract(values)))  # noqa: F811
        model = build_ensemble(task, prepared, tuned)
        releases.append(Made(task, model, evaluate_model(prepared, model).evaluation))
    return releases


def test_threshold_falls_when_a_right_action_earns_more_and_a_wrong_one_costs_less(made: list[Made]) -> None:
    before, after = (one.model.description.policy["threshold"] for one in made)
    assert after < before


def test_value_gate_asks_for_the_gain_that_the_values_mean(made: list[Made]) -> None:
    before, after = (one.gate for one in made)
    assert "(+500 and certainly more than 0 is required)" in before
    assert "(+1,500 and certainly more than 0 is required)" in after
    gains = [one.evaluation.comparisons["current_solution"].value_per_1000.estimate for one in made]
    assert gains[0] != gains[1]


def test_alert_on_value_and_the_limit_that_dashboards_draw_follow() -> None:
    thresholds, rules, limits = [], [], []
    for values in (BEFORE, AFTER):
        changed = read_contract(values)
        alerts = list_alerts(changed)
        thresholds.append(next(alert.threshold for alert in alerts if alert.name == "ValueBelowLimit"))
        rules.append(render_rules(changed.name, alerts))
        limits.append({sample.labels["field"]: sample.value for sample in sample_contract(changed)}[LIMIT])
    assert thresholds == limits == [500, 1500]
    assert rules[0] == rules[1].replace("1500", "500")
    assert rules[0] != rules[1]


def test_report_shows_the_values_and_what_they_ask_for(made: list[Made]) -> None:
    before, after = (one.report for one in made)
    assert "a gain of 500 USD is required" in before
    assert "a gain of 1,500 USD is required" in after
    assert "3,000" in after
    assert "3,000" not in before


def test_rules_of_other_contracts_are_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    changed = {"flight-delays": read_contract(AFTER)}
    generated_files.require_current()
    monkeypatch.setattr(generated_files, "load_problems", lambda _: changed)
    with pytest.raises(PermanentError, match=r"alerts/flight-delays.rules.yaml must equal what the contracts say"):
        generated_files.require_current()


@pytest.mark.parametrize(
    ("amount", "words"),
    [
        ("0.5 * true_positiv", "a name must be one of .*true_positive"),
        ("1 / 0", "division by zero"),
        ("half", "a name"),
    ],
)
def test_amount_that_is_no_arithmetic_of_the_values_is_refused_with_its_line(amount: str, words: str) -> None:
    with pytest.raises(ContractError, match=rf"flight-delays.yaml:\d+ `business.minimum_lift_per_1000` must .*{words}"):
        read_contract(BEFORE, minimum_lift_per_1000=amount)


def test_negative_amount_is_refused_as_a_negative_number_is() -> None:
    with pytest.raises(ContractError, match="greater than or equal to 0, but got -400"):
        read_contract(BEFORE, minimum_lift_per_1000="false_positive")
