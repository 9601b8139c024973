"""The index of all reports and models: one page that links every report.

In: the records of runs and how a report is linked. Out: HTML. Called by `make ui` for this machine and by the reports
service for the object store.
"""

import functools
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from components.base.local_run import LocalRun
from components.base.text.templating import render
from components.base.text.wording import write_money

_TEMPLATES = Path(__file__).parent / "templates"
# Written by `make loop` beside the index.
_TIMELINE = "timeline.html"
_KPI = "kpi.html"
_TONES = {"good": "well", "hold": "check", "bad": "not well"}
Row = dict[str, Any]
Link = Callable[[str], str | None]
"""The address of a page from the index, by the place that a record names; None when there is none."""


def render_index(records: Sequence[LocalRun], path: Path) -> None:
    """Write the index of this machine's runs, with links relative to its own folder.

    A report that is not below that folder is not linked.
    """
    link = functools.partial(_link_file, folder=path.parent)
    path.write_text(render_home(records, link, link(str(path.with_name(_TIMELINE)))), encoding="utf-8")


def render_home(records: Sequence[LocalRun], link: Link, timeline: str | None = None) -> str:
    """Return the index of models and runs, newest first."""
    ordered = sorted(records, key=lambda record: record.started, reverse=True)
    by_kind = {kind: [one for one in ordered if one.pipeline == kind] for kind in ("training", "monitoring", "refresh")}
    return render(
        _TEMPLATES,
        "home.html.j2",
        runs=len(records),
        timeline=timeline,
        models=list_models(by_kind["training"], link),
        windows=[_describe_window(record, link) for record in by_kind["monitoring"]],
        trained=[_describe_training(record, link) for record in by_kind["training"]],
        refreshed=[_describe(record, link) for record in by_kind["refresh"]],
    )


def list_models(records: Sequence[LocalRun], link: Link) -> list[Row]:
    """Return the registered models, newest first, each with the time in which it was the champion.

    Args:
        records: Of training runs, newest first.
        link: Of their reports.
    """
    rows: list[Row] = []
    replaced: dict[str, str] = {}
    for record in records:
        if not record.model_version:
            continue
        problem, is_promoted = record.problem, record.deployment == "promoted"
        until = replaced.get(problem)
        rows.append(
            {
                **_describe_training(record, link),
                "state": "champion" if is_promoted and not until else "replaced" if is_promoted else "not deployed",
                "since": record.as_of if is_promoted else None,
                "until": until if is_promoted else None,
            }
        )
        if is_promoted:
            replaced[problem] = record.as_of
    return rows


def _describe(record: LocalRun, link: Link) -> Row:
    return {
        "problem": record.problem,
        "link": link(record.report) if record.report else None,
        "status": record.status,
        "words": record.verdict_in_words or record.error or "",
        "as_of": record.as_of,
        "version": record.model_version or "",
        "seconds": record.seconds,
        "started": record.started,
    }


def _describe_training(record: LocalRun, link: Link) -> Row:
    value = next((one.value for one in record.scores if one.role == "challenger"), None)
    return {
        **_describe(record, link),
        "verdict": record.verdict or record.status,
        "value": "" if value is None else write_money(value, record.currency),
    }


def _describe_window(record: LocalRun, link: Link) -> Row:
    return {
        **_describe(record, link),
        "kpi": link(str(PurePosixPath(record.report).with_name(_KPI))) if record.report else None,
        "verdict": _TONES.get(record.tone or "", record.status),
        "tone": {"hold": "hold", "bad": "bad"}.get(record.tone or "", "bad" if record.status == "failed" else ""),
        "words": record.headline or record.error or "",
        "rows": record.rows,
        "numbers": {one.label: one.number for one in record.numbers},
    }


def _link_file(report: str, folder: Path) -> str | None:
    path = Path(report).absolute()
    base = folder.absolute()
    return path.relative_to(base).as_posix() if path.is_relative_to(base) and path.is_file() else None
