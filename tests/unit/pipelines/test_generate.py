"""What is committed equals what the code says, and `make generate` says and mends it when not."""

import shutil

import pytest

from pipelines.commands import generated_files
from pipelines.commands.app import main
from pipelines.commands.generated_files import CHART, PROBLEMS


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A copy of what is generated, to break."""
    for name, folder in {"CHART": CHART, "PROBLEMS": PROBLEMS}.items():
        copy = tmp_path / folder.relative_to(generated_files.ROOT)
        shutil.copytree(folder, copy)
        monkeypatch.setattr(generated_files, name, copy)
    monkeypatch.setattr(generated_files, "ROOT", tmp_path)
    return tmp_path


def test_every_committed_file_is_what_the_code_says(capsys):
    assert main(["generate", "--check"]) == 0, capsys.readouterr().err


@pytest.mark.parametrize(
    "file",
    [
        "charts/tidemill/alerts/flight-delays.rules.yaml",
        "charts/tidemill/grafana/alerting/flight-delays.rules.yaml",
        "pipelines/problems/problem.schema.json",
    ],
)
def test_an_edited_file_is_named_and_mended(tree, capsys, file):
    before = (tree / file).read_text()
    (tree / file).write_text(before + "\n")
    assert main(["generate", "--check"]) == 1
    assert f"{file}: must equal what the code says, but differs. Run `make generate`." in flat(capsys)
    assert main(["generate"]) == 0
    assert (tree / file).read_text() == before
    assert main(["generate", "--check"]) == 0


def test_a_file_that_is_generated_no_more_is_named_and_removed(tree, capsys):
    left = tree / "charts" / "tidemill" / "alerts" / "gone.rules.yaml"
    left.write_text("groups: []\n")
    assert main(["generate", "--check"]) == 1
    assert "charts/tidemill/alerts/gone.rules.yaml: must equal" in flat(capsys)
    assert main(["generate"]) == 0
    assert not left.exists()


def test_a_changed_contract_changes_the_rules(tree):
    contract = tree / "pipelines" / "problems" / "flight-delays.yaml"
    contract.write_text(contract.read_text().replace("metric: roc_auc, minimum: 0.62", "metric: roc_auc, minimum: 0.7"))
    assert main(["generate", "--check"]) == 1
    assert main(["generate"]) == 0
    rules = (tree / "charts" / "tidemill" / "alerts" / "flight-delays.rules.yaml").read_text()
    assert "< 0.7\n" in rules


def test_a_rule_that_breaks_the_lint_is_refused_and_nothing_is_written(tree, capsys, monkeypatch):
    shown = (tree / "charts" / "tidemill" / "alerts" / "flight-delays.rules.yaml").stat().st_mtime_ns
    monkeypatch.setattr(generated_files, "lint_query", lambda _: ["the query must ask for what is exported."])
    assert main(["generate"]) == 1
    assert "dashboards: " in flat(capsys)
    assert (tree / "charts" / "tidemill" / "alerts" / "flight-delays.rules.yaml").stat().st_mtime_ns == shown


def flat(capsys) -> str:
    """Return what was said, without the line ends of a narrow terminal."""
    return capsys.readouterr().err.replace("\n", "")
