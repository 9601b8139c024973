from components.base.local_run import LocalRun
from pipelines.commands.runs import runs
from pipelines.runners.records import write_record


def test_a_pipe_gets_whole_values(tmp_path, monkeypatch, capsys):
    report = f"/reports/{'far/' * 60}report.html"
    run = LocalRun(
        name="a", pipeline="monitoring", problem="a-problem-with-quite-a-long-name", as_of="2013-07-01T00:00:00+00:00",
        status="done", started="2026-11-24T10:00:00+00:00", seconds=9.0, report=report, model_version="3",
        log=str(tmp_path / "runs/a/run.log"),
    )  # fmt: skip
    write_record(tmp_path, run)
    monkeypatch.setenv("TIDEMILL_HOME", str(tmp_path))
    runs(None)
    header, line = capsys.readouterr().out.splitlines()
    assert header.split()[:3] == ["started", "pipeline", "problem"]
    assert line.split()[2:4] == [run.problem, "2013-07-01"]
    assert line.split()[-1] == report
