"""The index of all reports and models: one page that links every report.

In: the records of runs (the shape of `last-run.json`) and how a report is linked. Out: HTML. Called by `make ui` for
this machine and by the reports service for the object store. Nothing is judged here.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from components.base.text.templating import render
from components.base.text.wording import write_money

_TEMPLATES = Path(__file__).parent / "templates"
# Written by `make loop` beside the index.
_TIMELINE = "timeline.html"
_KPI = "kpi.html"
_TONES = {"good": "well", "hold": "check", "bad": "not well"}
Record = Mapping[str, Any]
Row = dict[str, Any]
Link = Callable[[str], str | None]
"""The address of a page from the index, by the place that a record names; None when there is none."""


def render_index(records: Sequence[Record], path: Path) -> None:
    """Write the index of this machine's runs, with links relative to its own folder.

    A report that is not below that folder is not linked.
    """
    link = functools.partial(_link_file, folder=path.parent)
    path.write_text(render_home(records, link, link(str(path.with_name(_TIMELINE)))), encoding="utf-8")


def render_home(records: Sequence[Record], link: Link, timeline: str | None = None) -> str:
    """Return the index of models and runs, newest first."""
    ordered = sorted(records, key=lambda record: str(record["started"]), reverse=True)
    by_kind = {kind: [one for one in ordered if _kind(one) == kind] for kind in ("training", "monitoring", "refresh")}
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


def list_models(records: Sequence[Record], link: Link) -> list[Row]:
    """Return the registered models, newest first, each with the time in which it was the champion.

    Args:
        records: Of training runs, newest first.
        link: Of their reports.
    """
    rows: list[Row] = []
    replaced: dict[str, str] = {}
    for record in records:
        if not record.get("model_version"):
            continue
        problem, is_promoted = record["problem"], record.get("deployment") == "promoted"
        until = replaced.get(problem)
        rows.append(
            {
                **_describe_training(record, link),
                "state": "champion" if is_promoted and not until else "replaced" if is_promoted else "not deployed",
                "since": record["as_of"] if is_promoted else None,
                "until": until if is_promoted else None,
            }
        )
        if is_promoted:
            replaced[problem] = record["as_of"]
    return rows


def _kind(record: Record) -> str:
    kind = str(record.get("pipeline", "training"))
    return kind if kind in {"monitoring", "refresh"} else "training"


def _describe(record: Record, link: Link) -> Row:
    return {
        "problem": record["problem"],
        "link": link(record["report"]) if record.get("report") else None,
        "status": record["status"],
        "words": record.get("verdict_in_words") or record.get("error") or "",
        "as_of": record["as_of"],
        "version": record.get("model_version") or "",
        "seconds": record.get("seconds"),
        "started": record["started"],
    }


def _describe_training(record: Record, link: Link) -> Row:
    value = next((one["value"] for one in record.get("scores", []) if one["role"] == "challenger"), None)
    return {
        **_describe(record, link),
        "verdict": record.get("verdict") or record["status"],
        "value": "" if value is None else write_money(value, record.get("currency", "")),
    }


def _describe_window(record: Record, link: Link) -> Row:
    report = record.get("report")
    tone = record.get("tone", "")
    return {
        **_describe(record, link),
        "kpi": link(str(PurePosixPath(report).with_name(_KPI))) if report else None,
        "verdict": _TONES.get(tone, record["status"]),
        "tone": {"hold": "hold", "bad": "bad"}.get(tone, "bad" if record["status"] == "failed" else ""),
        "words": record.get("headline") or record.get("error") or "",
        "rows": record.get("rows") if isinstance(record.get("rows"), int) else None,
        "numbers": {one["label"]: one["number"] for one in record.get("numbers", [])},
    }


def _link_file(report: str, folder: Path) -> str | None:
    path = Path(report).absolute()
    base = folder.absolute()
    return path.relative_to(base).as_posix() if path.is_relative_to(base) and path.is_file() else None
