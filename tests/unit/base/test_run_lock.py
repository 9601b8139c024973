"""A claim is one process's, tells the steps of the run that it is in force, and ends with its process."""

import re
from pathlib import Path

import pytest

from components.base.errors import PermanentError
from components.base.run_lock import STEP_RUN_FOLDER, claim_run, read_state, require_run


def test_process_that_holds_a_claim_may_claim_again(tmp_path: Path) -> None:
    with claim_run(tmp_path / "run") as outer, claim_run(tmp_path / "run") as inner:
        assert (outer, inner) == (True, True)
    with claim_run(tmp_path / "run") as later:
        assert not later


def test_step_works_while_its_run_is_in_force_and_is_refused_after(tmp_path: Path) -> None:
    environment = {STEP_RUN_FOLDER: str(tmp_path / "july")}
    with claim_run(tmp_path / "july"):
        require_run(environment)
    words = "run july: it must be running when a step changes the registry, the endpoint or the online store, but it "
    with pytest.raises(PermanentError, match=re.escape(words + "has died.")):
        require_run(environment)
    (tmp_path / "july" / "run.json").touch()
    with pytest.raises(PermanentError, match=re.escape(words + "has ended.")):
        require_run(environment)


def test_step_that_no_run_of_this_machine_called_is_not_asked(tmp_path: Path) -> None:
    require_run({})


def test_release_of_a_claim_within_another_keeps_the_outer_one(tmp_path: Path) -> None:
    with claim_run(tmp_path / "run"):
        with claim_run(tmp_path / "run"):
            pass
        assert read_state(tmp_path / "run") == "running"
