"""`tidemill rulings`: the rulings of this machine in words; pause and resume."""

import pytest

from pipelines.commands.app import main
from tests.unit.governor.world import World


@pytest.fixture
def world(tmp_path, monkeypatch):
    monkeypatch.setenv("TIDEMILL_HOME", str(tmp_path))
    return World(tmp_path)


def shown(capsys, *arguments):
    assert main(["rulings", *arguments]) == 0
    return " ".join(capsys.readouterr().out.split())


def test_an_empty_list_says_when_there_will_be_one(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TIDEMILL_HOME", str(tmp_path / "new"))
    assert "No ruling yet: the governor rules when an alert fires or its schedule is due." in shown(capsys, "list")


def test_each_ruling_is_one_row_the_newest_last(world, capsys):
    world.alert("a")
    world.step()
    world.alert("b")
    world.step()
    text = shown(capsys, "list")
    assert text.index("alert ValueBelowLimit run running") < text.index("alert ValueBelowLimit hold")
    assert "30,000 new labels have arrived since version 1 was trained, 20,000 are required." in text
    assert "one runs at a time" in text
    assert "No ruling yet" in shown(capsys, "list", "--problem", "wine")


def test_a_pause_is_obeyed_until_the_resume(world, capsys):
    assert "retraining is paused by anna" in shown(capsys, "pause", "--problem", world.name, "--by", "anna")
    world.alert()
    world.step()
    assert world.ruling().reason == "paused"
    assert "not paused" in shown(capsys, "resume", "--problem", world.name)
    world.step()
    assert world.ruling().reason == "worth_it"


def test_a_pause_without_a_problem_is_refused(world, capsys):
    assert main(["rulings", "pause"]) == 2
    assert "Missing option '--problem'" in capsys.readouterr().err


def test_a_pause_of_an_unknown_problem_is_refused_with_the_nearest_name(world, capsys):
    assert main(["rulings", "pause", "--problem", "flight-delay"]) == 1
    assert "Did you mean 'flight-delays'?" in " ".join(capsys.readouterr().err.split())
