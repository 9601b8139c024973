"""The index of all reports and models: one page that links every report of this machine.

In: the records of local runs (the shape of `last-run.json`). Out: an HTML file. Called by `make ui`. A report that is
not below the index's own folder is not linked; nothing is judged here.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
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


def render_index(records: Sequence[Record], path: Path) -> None:
    """Write the index of models and runs, newest first, with links relative to the index's own folder."""
    ordered = sorted(records, key=lambda record: str(record["started"]), reverse=True)
    by_kind = {kind: [one for one in ordered if _kind(one) == kind] for kind in ("training", "monitoring", "refresh")}
    page = render(
        _TEMPLATES,
        "home.html.j2",
        runs=len(records),
        timeline=_link(str(path.with_name(_TIMELINE)), path.parent),
        models=list_models(by_kind["training"], path.parent),
        windows=[_describe_window(record, path.parent) for record in by_kind["monitoring"]],
        trained=[_describe_training(record, path.parent) for record in by_kind["training"]],
        refreshed=[_describe(record, path.parent) for record in by_kind["refresh"]],
    )
    path.write_text(page, encoding="utf-8")


def list_models(records: Sequence[Record], folder: Path) -> list[Row]:
    """Return the registered models, newest first, each with the time in which it was the champion.

    Args:
        records: Of training runs, newest first.
        folder: Of the index.
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
                **_describe_training(record, folder),
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


def _describe(record: Record, folder: Path) -> Row:
    return {
        "problem": record["problem"],
        "link": _link(record.get("report"), folder),
        "status": record["status"],
        "words": record.get("verdict_in_words") or record.get("error") or "",
        "as_of": record["as_of"],
        "version": record.get("model_version") or "",
        "seconds": record.get("seconds"),
        "started": record["started"],
    }


def _describe_training(record: Record, folder: Path) -> Row:
    value = next((one["value"] for one in record.get("scores", []) if one["role"] == "challenger"), None)
    return {
        **_describe(record, folder),
        "verdict": record.get("verdict") or record["status"],
        "value": "" if value is None else write_money(value, record.get("currency", "")),
    }


def _describe_window(record: Record, folder: Path) -> Row:
    report = record.get("report")
    tone = record.get("tone", "")
    return {
        **_describe(record, folder),
        "kpi": _link(str(Path(report).with_name(_KPI)), folder) if report else None,
        "verdict": _TONES.get(tone, record["status"]),
        "tone": {"hold": "hold", "bad": "bad"}.get(tone, "bad" if record["status"] == "failed" else ""),
        "words": record.get("headline") or record.get("error") or "",
        "rows": record.get("rows") if isinstance(record.get("rows"), int) else None,
        "numbers": {one["label"]: one["number"] for one in record.get("numbers", [])},
    }


def _link(report: str | None, folder: Path) -> str | None:
    """Return the report's address from the index, None when there is no report below its folder."""
    if not report:
        return None
    path = Path(report)
    path = path if path.is_absolute() else Path.cwd() / path
    base = folder if folder.is_absolute() else Path.cwd() / folder
    return path.relative_to(base).as_posix() if path.is_relative_to(base) and path.is_file() else None
