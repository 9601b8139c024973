"""`make decisions`: the decisions of this machine in words, and a person's stop and go."""

import pytest

from pipelines.commands.rulings import main
from tests.unit.governor.world import World


@pytest.fixture
def world(tmp_path, monkeypatch):
    monkeypatch.setenv("TIDEMILL_HOME", str(tmp_path))
    return World(tmp_path)


def shown(capsys, *arguments):
    assert main(arguments) == 0
    return " ".join(capsys.readouterr().out.split())


def test_an_empty_list_says_when_there_will_be_one(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TIDEMILL_HOME", str(tmp_path / "new"))
    assert "No decision yet: the governor decides when an alert fires or its schedule is due." in shown(capsys)


def test_each_decision_is_one_row_the_newest_last(world, capsys):
    world.alert("a")
    world.step()
    world.alert("b")
    world.step()
    text = shown(capsys)
    assert text.index("alert ValueBelowLimit run running") < text.index("alert ValueBelowLimit hold")
    assert "30,000 new labels have arrived since version 1 was trained, 20,000 are required." in text
    assert "one runs at a time" in text
    assert "No decision yet" in shown(capsys, "--problem", "wine")


def test_a_pause_is_obeyed_until_the_resume(world, capsys):
    assert "retraining is paused by anna" in shown(capsys, "--problem", world.name, "--pause", "--by", "anna")
    world.alert()
    world.step()
    assert world.ruling().reason == "paused"
    assert "not paused" in shown(capsys, "--problem", world.name, "--resume")
    world.step()
    assert world.ruling().reason == "worth_it"


def test_a_pause_without_a_problem_is_refused(world, capsys):
    with pytest.raises(SystemExit):
        main(["--pause"])
    assert "--problem must be given to pause or resume" in capsys.readouterr().err


def test_a_pause_of_an_unknown_problem_is_refused_with_the_nearest_name(world, capsys):
    assert main(["--problem", "flight-delay", "--pause"]) == 1
    assert "Did you mean 'flight-delays'?" in " ".join(capsys.readouterr().out.split())
