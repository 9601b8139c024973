"""What must not be done twice at once is refused in words, and is free again however the first one ended."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from components.base.errors import PermanentError
from components.base.home_lock import hold_alone

HOLDER = """
import sys, time
from pathlib import Path
from components.base.home_lock import hold_alone
with hold_alone(Path(sys.argv[1]), "training of wine"):
    print("held", flush=True)
    time.sleep(600)
"""


def test_second_is_refused_and_told_who_is_at_it(tmp_path: Path) -> None:
    words = (
        f"training of wine: one at a time must be under way in {tmp_path}, but process {os.getpid()} is at it. "
        f"Wait for it, end it with `kill {os.getpid()}`, or set another TIDEMILL_HOME."
    )
    with (
        hold_alone(tmp_path, "training of wine"),
        pytest.raises(PermanentError, match=re.escape(words)),
        hold_alone(tmp_path, "training of wine"),
    ):
        pass
    with hold_alone(tmp_path, "training of wine"):
        pass


def test_other_problem_other_pipeline_and_other_home_go_on_beside_it(tmp_path: Path) -> None:
    with (
        hold_alone(tmp_path, "training of wine"),
        hold_alone(tmp_path, "training of flight-delays"),
        hold_alone(tmp_path, "monitoring of wine"),
        hold_alone(tmp_path / "other", "training of wine"),
    ):
        pass


def test_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(command, cwd=Path(__file__).parents[3], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        with (
            pytest.raises(PermanentError, match=f"process {holder.pid} is at it"),
            hold_alone(tmp_path, "training of wine"),
        ):
            pass
        holder.kill()
        holder.wait()
    with hold_alone(tmp_path, "training of wine"):
        pass
