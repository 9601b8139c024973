"""Templates of every page: one Jinja2 environment that escapes everything and writes numbers for people.

In: folders of templates, a template's name and its values. Out: text. Called by the reports, the model card, the index
and the timeline; what they share, the style sheet and the macros, is in this room's own `templates`. A value that is
not there is shown as `n/a`, so that a page never fails for the lack of a detail.
"""

import html
import re
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import ChainableUndefined, Environment, FileSystemLoader, Undefined, pass_context, select_autoescape
from jinja2.runtime import Context
from markupsafe import Markup

from components.base.text.wording import (
    MISSING,
    format_time,
    has_bounds,
    say_plainly,
    write_capacity,
    write_confidence,
    write_count,
    write_date,
    write_gain,
    write_money,
    write_number,
    write_percent,
    write_points,
    write_score,
    write_span,
)

_FOLDER = Path(__file__).parent / "templates"
_TONES = {
    "bad": ("fail", "refuse", "refused", "critical", "failed", "stop", "bad"),
    "hold": ("hold", "warning", "warn", "kept", "thin", "thick"),
    "note": ("note", "not judged", "insight"),
}
_MARKDOWN_SIGNS = re.compile(r"([\\`*_{}\[\]<>|#])")
_LONGEST_TEXT = 60


def render(folders: Path | tuple[Path, ...], template: str, **values: Any) -> str:
    """Fill a template; each is looked up in the folders in order, then in the shared one.

    A page that names metrics passes `metric_labels`, the label of each metric by its name.
    """
    folders = folders if isinstance(folders, tuple) else (folders,)
    return _environment(folders).get_template(template).render(**values)


@cache
def _environment(folders: tuple[Path, ...]) -> Environment:
    environment = Environment(
        loader=FileSystemLoader([*folders, _FOLDER]),
        autoescape=select_autoescape(disabled_extensions=("md.j2",), default=True),
        undefined=ChainableUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "capacity": _tolerate(write_capacity),
        "count": _tolerate(write_count),
        "confidence": _tolerate(write_confidence),
        "percent": _tolerate(write_percent),
        "money": _tolerate(write_money),
        "gain": _tolerate(write_gain),
        "number": _tolerate(write_number),
        "score": _tolerate(write_score),
        "date": _tolerate(write_date),
        "time": _tolerate(format_time),
        "points": _tolerate(write_points),
        "span": _tolerate(write_span),
        "words": _tolerate(say_plainly),
        "brief": _tolerate(write_brief),
        "metric_label": label_metric,
        "tone": choose_tone,
        "inline_svg": inline_svg,
        "sparkline": draw_sparkline,
        "breakable": break_name,
        "md": escape_markdown,
    }
    environment.globals["css"] = Markup((_FOLDER / "report.css").read_text(encoding="utf-8"))  # noqa: S704 - our own file
    environment.tests["bounded"] = lambda value: bool(value) and has_bounds(value)
    return environment


def write_brief(value: Any) -> str:
    """Write a value of any kind in a table cell."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        text = str(value)
        return text if len(text) <= _LONGEST_TEXT else text[: _LONGEST_TEXT - 1] + "…"
    return f"{value:.1e}" if 0 < abs(value) < 1e-4 else write_number(float(value))


@pass_context
def label_metric(context: Context, name: str | None) -> str:
    """Return the label of a metric: of the page's `metric_labels`, else its name in words."""
    return context.get("metric_labels", {}).get(name) or _tolerate(say_plainly)(name)


def choose_tone(word: str) -> str:
    """Return the CSS class for a verdict or severity; a good one needs none."""
    return next((tone for tone, words in _TONES.items() if word in words), "")


def inline_svg(svg: str | Undefined) -> Markup:
    """Put one of our own SVG pictures into the page, without the namespaces that only files need."""
    return Markup(re.sub(r' xmlns(:\w+)?="[^"]*"', "", svg)) if svg and not isinstance(svg, Undefined) else Markup("")  # noqa: S704


def draw_sparkline(values: Sequence[float | None], alt: str, limit: float | None = None) -> Markup:
    """Draw a small line of numbers with its end marked, and a limit if given; nothing for fewer than two.

    An unknown value keeps its place: the line goes on from its neighbours.
    """
    known = [(place, float(value)) for place, value in enumerate(values) if value is not None]
    if len(known) < 2:
        return Markup("")
    heights = [value for _, value in known] + ([] if limit is None else [limit])
    low, spread, last = min(heights), (max(heights) - min(heights)) or 1.0, len(values) - 1
    dots = [(2 + 82 * place / last, 17 - 14 * (value - low) / spread) for place, value in known]
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in dots)
    label = html.escape(f"{alt}: from {write_number(known[0][1])} to {write_number(known[-1][1])}")
    line = "" if limit is None else f'<path d="M2 {17 - 14 * (limit - low) / spread:.1f}H84"/>'
    end = f'<circle cx="{dots[-1][0]:.1f}" cy="{dots[-1][1]:.1f}" r="2"/>'
    return Markup(  # noqa: S704 - numbers and escaped text
        f'<svg class="spark" viewBox="0 0 86 20" role="img" aria-label="{label}">{line}'
        f'<polyline points="{points}"/>{end}</svg>'
    )


def break_name(name: str) -> Markup:
    """Let a long name break after each underscore or slash."""
    return Markup(re.sub(r"([_/])", r"\1<wbr>", html.escape(str(name))))  # noqa: S704 - escaped before


def escape_markdown(text: Any) -> str:
    """Escape what Markdown would read as markup, and keep the text on one line."""
    return _MARKDOWN_SIGNS.sub(r"\\\1", " ".join(str(text).split()))


def _tolerate(write: Callable[..., str]) -> Callable[..., str]:
    def tolerant(value: Any, *options: Any) -> str:
        return MISSING if value is None or isinstance(value, Undefined) else write(value, *options)

    return tolerant
