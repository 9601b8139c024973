"""The index of all runs: one page that links every report.

In: the records of local runs (the shape of `last-run.json`). Out: an HTML file. Called by `make ui`.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from components.base.templating import render
from components.base.wording import write_money


def render_index(records: Sequence[dict[str, Any]], path: Path) -> None:
    """Write the index of the runs, newest first, with links relative to the index's own folder."""
    rows = [_describe(record, path.parent) for record in records]
    rows.sort(key=lambda row: row["started"], reverse=True)
    path.write_text(render(Path(__file__).parent / "templates", "index.html.j2", rows=rows), encoding="utf-8")


def _describe(record: dict[str, Any], folder: Path) -> dict[str, Any]:
    value = next((s["value"] for s in record.get("scores", []) if s["role"] == "challenger"), None)
    return {
        "problem": record["problem"],
        "link": _link(record.get("report"), folder),
        "verdict": record.get("verdict") or record["status"],
        "words": record.get("verdict_in_words") or record.get("error") or "",
        "as_of": record["as_of"],
        "version": record.get("model_version") or "",
        "value": "" if value is None else write_money(value, record.get("currency", "")),
        "seconds": record.get("seconds"),
        "started": str(record["started"])[:16].replace("T", " "),
    }


def _link(report: str | None, folder: Path) -> str | None:
    """Return the report's address from the index, None when there is no report below its folder."""
    if not report:
        return None
    path = Path(report)
    path = path if path.is_absolute() else Path.cwd() / path
    base = folder if folder.is_absolute() else Path.cwd() / folder
    return path.relative_to(base).as_posix() if path.is_relative_to(base) and path.is_file() else None
