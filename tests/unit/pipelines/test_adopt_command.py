"""`tidemill adopt`: shows what it writes, and says in words why it does not."""

import os
from pathlib import Path

import pytest

from components.base import documents
from components.base.contract.load import load_problem
from components.features.explore.documents import Finding, Findings, Proposal
from pipelines.commands.app import main

FLIGHTS = Path(__file__).parents[3] / "pipelines" / "problems" / "flight-delays.yaml"
CARRIERS = Proposal(
    source="flights", column="carrier", field="allowed", value=("9E", "AA"), basis="2 values in 9,000 training rows."
)


def make_findings(problem="flight-delays", **proposals):
    shared = {"kind": "group", "severity": "insight", "headline": "A 1.", "detail": "B.", "picture": "a.svg",
              "alt": "A line.", "effect": 0.1}  # fmt: skip
    return Findings(
        problem=problem, rows=9000, outcome={"rows": 9000, "mean": 0.2, "counts": {}},
        start="2013-01-01T00:00:00+00:00", end="2013-05-03T00:00:00+00:00", features=(), seconds=1.0,
        findings=tuple(Finding(id=name, proposals=found, **shared) for name, found in proposals.items()),
    )  # fmt: skip


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home in which explore left findings, and a copy of the flight contract."""
    (tmp_path / "problems").mkdir()
    (tmp_path / "problems" / FLIGHTS.name).write_text(FLIGHTS.read_text())
    monkeypatch.setenv("TIDEMILL_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TIDEMILL_PROBLEMS", str(tmp_path / "problems"))
    leave(tmp_path / "home", 1, make_findings(group_carrier=(CARRIERS,), shifts=()))
    return tmp_path / "home"


def leave(home, number, findings):
    file = home / "runs" / "flights" / "steps" / f"training-{number}" / "explore" / "profile" / "findings.json"
    documents.write(findings, file)
    os.utime(file, (number, number))


def contract(home):
    return home.parent / "problems" / FLIGHTS.name


def test_finding_is_written_into_the_contract_and_shown(home, capsys):
    assert main(["adopt", "group_carrier"]) == 0
    shown = capsys.readouterr().out
    assert (
        '+      carrier: {type: string, description: Carrier code, pattern: "^[A-Z0-9]{2}$", allowed: [9E, AA]}'
        in shown
    )
    assert CARRIERS.basis in shown
    assert "is written. Every validation enforces it from now on, the next one by `make demo`." in shown
    assert load_problem(contract(home)).sources["flights"].columns["carrier"].allowed == ["9E", "AA"]
    without = contract(home).read_text().replace(", allowed: [9E, AA]}", "}")
    assert without == FLIGHTS.read_text()


def test_second_time_changes_nothing_and_says_so(home, capsys):
    main(["adopt", "group_carrier"])
    once = contract(home).read_text()
    capsys.readouterr()
    assert main(["adopt", "group_carrier"]) == 0
    assert "has what group_carrier proposes. Nothing is changed." in capsys.readouterr().out
    assert contract(home).read_text() == once


def test_without_a_name_what_can_be_adopted_is_listed(home, capsys):
    assert main(["adopt"]) == 0
    assert capsys.readouterr().out == "group_carrier  sources.flights.columns.carrier.allowed: [9E, AA]\n"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("group_carier", ["must be a finding of the last training, but got 'group_carier'", "mean 'group_carrier'?",
                          "Those that propose a line: group_carrier."]),
        ("shifts", ["must propose a line of the contract, but shifts does not",
                    "Those that propose a line: group_carrier."]),
    ],
)  # fmt: skip
def test_finding_that_is_unknown_or_proposes_nothing_is_refused_with_the_others(name, words, home, capsys):
    assert main(["adopt", name]) == 1
    said = " ".join(capsys.readouterr().err.split())
    assert [one for one in words if one not in said] == []
    assert contract(home).read_text() == FLIGHTS.read_text()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        # Of two lines the second is refused: the first is not written either.
        ({"column": "origin"}, "`sources.flights.columns.origin.allowed` must not be in the contract, or be [9E, AA]"),
        ({"column": "tail"}, "`sources.flights.columns.tail` must be a section to add `allowed` to"),
        ({"column": "distance", "field": "minimum", "value": 1.0}, "or be 1, but is 10."),
        ({"column": "year", "source": "planes", "field": "assumptions", "value": {
            "name": "x", "statement": "None", "sql": "SELECT 1 FROM ships", "maximum": 1, "on_violation": "stop"}},
         "must name a source, but got 'ships'."),
    ],
)  # fmt: skip
def test_contract_that_says_something_else_or_would_be_at_fault_stays_as_it_is(changes, words, home, capsys):
    other = Proposal.model_validate(CARRIERS.model_dump() | changes)
    leave(home, 2, make_findings(group_carrier=(CARRIERS, other)))
    assert main(["adopt", "group_carrier"]) == 1
    assert words in " ".join(capsys.readouterr().err.split())
    assert contract(home).read_text() == FLIGHTS.read_text()


def test_newest_findings_of_the_problem_count(home, capsys):
    leave(home, 2, make_findings(group_carrier=(CARRIERS.model_copy(update={"value": ("UA",)}),)))
    leave(home, 3, make_findings("trips", group_city=(CARRIERS,)))
    assert main(["adopt"]) == 0
    assert capsys.readouterr().out == "group_carrier  sources.flights.columns.carrier.allowed: [UA]\n"


def test_problem_that_was_never_trained_here_is_named_with_what_to_do(home, capsys):
    assert main(["adopt", "--problem", "wine"]) == 1
    said = " ".join(capsys.readouterr().err.split())
    assert "findings of wine: a training must have explored the rows on this machine, but none has." in said
    assert "tidemill run training --problem wine" in said
