"""The runbooks: one an alert, four headings, commands that exist, fields of the contract instead of limits."""

import re
import shlex

import pytest

from components.alerting.alerts import list_alerts
from components.alerting.rule_lint import lint_query
from tests.unit.alerting.watched import PROBLEM, ROOT

FOLDER = ROOT / "charts" / "tidemill" / "runbooks"
ALERTS = list_alerts(PROBLEM)
NAMES = sorted({alert.name for alert in ALERTS})
HEADINGS = ["Meaning", "Impact", "Diagnosis", "Mitigation"]
TARGETS = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
# Programs that anybody has who is called: ours, Prometheus' and Kubernetes' own.
PROGRAMS = {"make", "promtool", "curl", "kubectl"}


def read(name):
    """Return the sections of a runbook by heading."""
    text = (FOLDER / f"{name}.md").read_text()
    title, *sections = re.split(r"^## ", text, flags=re.MULTILINE)
    assert title.strip() == f"# {name}"
    return {section.split("\n", 1)[0]: section.split("\n", 1)[1].strip() for section in sections}


def commands(name):
    return re.search(r"```console\n(.*?)```", read(name)["Diagnosis"], re.DOTALL)[1].splitlines()


def fields(name):
    """Return the fields of the contract that a runbook names; `<source>` stands for each that has a limit."""
    words = set(re.findall(r"`([a-z_]+(?:\.[a-z_0-9<>]+)+)`", "\n".join(read(name).values())))
    sources = [source for source, declared in PROBLEM.sources.items() if declared.freshness]
    return {word.replace("<source>", source) for word in words for source in sources}


def test_every_alert_has_its_runbook_and_no_runbook_is_left_over():
    assert sorted(file.stem for file in FOLDER.glob("*.md") if file.stem != "README") == NAMES
    assert all((ROOT / alert.runbook).is_file() for alert in ALERTS)


@pytest.mark.parametrize("name", NAMES)
def test_the_headings_stand_in_order_and_none_is_empty(name):
    sections = read(name)
    assert list(sections) == HEADINGS
    assert all(len(text) > 40 for text in sections.values())


@pytest.mark.parametrize("name", NAMES)
def test_the_diagnosis_holds_commands_that_exist(name):
    assert commands(name)
    for command in commands(name):
        program, *arguments = shlex.split(command)
        assert program in PROGRAMS, command
        if program == "make":
            assert arguments[0] in TARGETS, command
    for target in re.findall(r"`make ([a-z-]+)`", "\n".join(read(name).values())):
        assert target in TARGETS, target


@pytest.mark.parametrize("name", NAMES)
def test_the_queries_of_the_diagnosis_parse_and_ask_for_what_is_exported(name):
    queries = [shlex.split(command)[4] for command in commands(name) if command.startswith("promtool query instant")]
    assert queries
    assert [fault for query in queries for fault in lint_query(query.replace("$PROBLEM", "flight-delays"))] == []


@pytest.mark.parametrize("name", NAMES)
def test_a_runbook_names_the_fields_that_its_alerts_are_made_of(name):
    used = {field for alert in ALERTS if alert.name == name for field in alert.limit.fields}
    assert used <= fields(name)


@pytest.mark.parametrize("name", NAMES)
def test_every_field_that_a_runbook_names_is_in_the_contract(name):
    for field in fields(name):
        node = PROBLEM
        for part in field.split("."):
            node = node[part] if isinstance(node, dict) else getattr(node, part)


@pytest.mark.parametrize("name", NAMES)
def test_no_limit_is_written_in_a_runbook(name):
    prose = re.sub(r"```.*?```|`[^`]*`", "", (FOLDER / f"{name}.md").read_text(), flags=re.DOTALL)
    assert re.findall(r"\d+", prose) == []


@pytest.mark.parametrize("name", NAMES)
def test_a_runbook_that_names_another_alert_names_one_that_exists(name):
    text = "\n".join(read(name).values())
    named = set(re.findall(r"\b[A-Z][a-z]+(?:[A-Z][a-z]+)+\b", text)) - {"InferenceService", "KServe"}
    assert named <= set(NAMES)
