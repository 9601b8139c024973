"""A step is reused only while all code that it can reach is the same."""

from pathlib import Path

import pytest

from components.base.code import PHASES, describe_commit, fingerprint_code


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for name in (*PHASES, "tasks"):
        (tmp_path / "components" / name).mkdir(parents=True)
        (tmp_path / "components" / name / "code.py").write_text("x = 1\n")
    (tmp_path / "feature_repo").mkdir()
    (tmp_path / "feature_repo" / "view.sql").write_text("SELECT 1\n")
    (tmp_path / "requirements.lock").write_text("numpy==2\n")
    return tmp_path


@pytest.mark.parametrize(
    ("file", "first_phase"),
    [
        ("components/base/code.py", "base"),
        ("components/models/code.py", "models"),
        # What a family of models is stands in the task's folder.
        ("components/tasks/code.py", "features"),
        ("feature_repo/view.sql", "features"),
        ("requirements.lock", "base"),
    ],
)
def test_edit_changes_the_phases_that_can_reach_it_and_no_other(file: str, first_phase: str, checkout: Path) -> None:
    def fingerprints() -> dict[str, str]:
        fingerprint_code.cache_clear()
        return {phase: fingerprint_code(phase, checkout) for phase in PHASES}

    before = fingerprints()
    (checkout / file).write_text("another\n")
    after = fingerprints()
    assert [phase for phase in PHASES if before[phase] != after[phase]] == list(PHASES[PHASES.index(first_phase) :])


def test_commit_outside_of_a_checkout_is_unknown(tmp_path: Path) -> None:
    assert describe_commit(tmp_path) == "unknown"
