"""The one look of every picture: figures are drawn with matplotlib and leave as small inline SVG.

In: a `Figure` of `new_figure`. Out: `render_svg`, an `<svg>` whose colours are CSS variables (light, dark and print are
the page's choice; opened alone it shows the light colours), whose text stays text, and with an alternative text.
Called by explore and by the report. Pictures are 360 units wide: readable at the width of a phone and of a column.
"""

import hashlib
import html
import io
import re
from collections.abc import Callable, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import ArrayLike

# Colours that stay apart for the colour-blind (checked against Machado et al. 2009 at full deuteranopia by lightness).
COLOURS = {
    "ink": "#1f2a37",
    "muted": "#5b6b7c",
    "grid": "#dfe5ec",
    "accent": "#0f766e",
    "accent-soft": "#9fd3cc",
    "champion": "#4f5bb5",
    "current": "#b7701a",
    "dummy": "#8a97a6",
    "bad": "#b42318",
}
INK, MUTED, GRID, ACCENT, SOFT, BAD = (COLOURS[n] for n in ("ink", "muted", "grid", "accent", "accent-soft", "bad"))
# Who is who in every chart of the report.
CONTENDER_COLOURS = {
    "challenger": ACCENT,
    "champion": COLOURS["champion"],
    "current_solution": COLOURS["current"],
    "dummy": COLOURS["dummy"],
}
WIDTH_INCHES, HEIGHT_INCHES = 5.0, 2.7
_STYLE: dict[str, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "tidemill",
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "text.color": INK,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": MUTED,
    "axes.titlesize": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.linewidth": 0.6,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "lines.linewidth": 1.7,
}
_LONGEST_LABEL = 24


def new_figure(
    height: float = HEIGHT_INCHES, columns: int = 1, rows: int = 1, *, width: float = WIDTH_INCHES
) -> tuple[Figure, list[Axes]]:
    """Return a figure, in inches, and its axes, row by row; another width is for one of many or for a whole page."""
    mpl.rcParams.update(_STYLE)
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel().tolist()
    figure.patch.set_visible(False)
    for one in axes:
        one.patch.set_visible(False)
    return figure, axes


def render_svg(figure: Figure, alt: str) -> str:
    """Return the figure as one `<svg>` element that may stand in HTML or in a file of its own."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    svg = buffer.getvalue()
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg[svg.index("<svg") :], flags=re.DOTALL)
    svg = re.sub(r"<!--.*?-->\s*|<g/>\s*|\n\s+", "", svg, flags=re.DOTALL).replace("xlink:href", "href")
    svg = re.sub(r"<[^>]+>", _shorten_tag, svg)
    # Ids without a reference go; the others become unique among the pictures of a page.
    prefix = "p" + hashlib.sha256((alt + svg).encode()).hexdigest()[:8]
    used = set(re.findall(r"#([\w-]+)(?=[\")])", svg))
    svg = re.sub(r' id="([\w.-]+)"', lambda m: f' id="{prefix}{m[1]}"' if m[1] in used else "", svg)
    svg = re.sub(r"(url\(#|href=\"#)([\w-]+)", rf"\g<1>{prefix}\g<2>", svg)
    box = re.search(r'viewBox="[^"]+"', svg)
    root = f'<svg xmlns="http://www.w3.org/2000/svg" {box.group() if box else ""} role="img" aria-label='
    return re.sub(r"<svg[^>]*>", lambda _: f'{root}"{html.escape(alt)}">', svg, count=1).strip()


def draw_legend(figure: Figure) -> None:
    """Name the lines above the picture, in as many columns as a phone takes."""
    names = sum(len(axes.get_legend_handles_labels()[0]) for axes in figure.axes)
    figure.legend(loc="outside upper left", ncols=3 if names == 3 else 2)


def draw_bars(axes: Axes, labels: Sequence[str], values: Sequence[float], texts: Sequence[str], **style: Any) -> None:
    """Draw horizontal bars, the first on top, with the text of each value at its end."""
    places = np.arange(len(labels))[::-1]
    axes.barh(places, values, height=0.68, **{"color": ACCENT, **style})
    axes.set_yticks(places, [clip_label(label) for label in labels])
    axes.grid(axis="y", visible=False)
    for place, value, text in zip(places, values, texts, strict=True):
        axes.annotate(text, (max(value, 0), place), (3, 0), textcoords="offset points", va="center", fontsize=8.5)
    axes.margins(x=0.16, y=0.02)


def draw_dots(axes: Axes, labels: Sequence[str], values: ArrayLike, lows: ArrayLike, highs: ArrayLike) -> None:
    """Draw one dot with its interval a line, the first on top."""
    places = np.arange(len(labels))[::-1]
    axes.hlines(places, lows, highs, color=SOFT, linewidth=5)
    axes.plot(np.asarray(values), places, "o", color=ACCENT, markersize=5)
    axes.set_yticks(places, [clip_label(label) for label in labels])
    axes.set_ylim(-0.6, len(labels) - 0.4)
    axes.grid(axis="y", visible=False)


def draw_band(axes: Axes, x: Any, middle: ArrayLike, low: ArrayLike, high: ArrayLike, **style: Any) -> None:
    """Draw a line within its interval."""
    colour = style.pop("color", ACCENT)
    axes.fill_between(x, np.asarray(low), np.asarray(high), color=colour, alpha=0.18, linewidth=0)
    axes.plot(x, middle, color=colour, **style)


def draw_reference(axes: Axes, value: float, text: str, *, vertical: bool = False, colour: str = MUTED) -> None:
    """Draw a dashed line at a value that the rest is read against, with its name."""
    style: dict[str, Any] = {"color": colour, "linewidth": 1.0, "linestyle": (0, (4, 3))}
    if vertical:
        axes.axvline(value, **style)
        place, transform, align = (value, 1.0), axes.get_xaxis_transform(), "center"
    else:
        axes.axhline(value, **style)
        place, transform, align = (1.0, value), axes.get_yaxis_transform(), "right"
    axes.annotate(
        text, place, (0, 2), transform, textcoords="offset points", ha=align, va="bottom", fontsize=8, color=colour
    )


def show_percent(axes: Axes, which: str = "y", digits: int = 0) -> None:
    """Write the ticks of one axis, `x` or `y`, as percentages."""
    show_values(axes, lambda value: f"{value * 100:.{digits}f}%", which)


def show_values(axes: Axes, write: Callable[[float], str], which: str = "y") -> None:
    """Write the ticks of one axis, `x` or `y`, with a function."""
    axis = axes.yaxis if which == "y" else axes.xaxis
    axis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    axis.set_major_formatter(FuncFormatter(lambda value, _: write(value)))


def show_thousands(axes: Axes, which: str = "y") -> None:
    """Write the ticks of one axis with thousands separators, few enough for a phone."""
    axis = axes.yaxis if which == "y" else axes.xaxis
    axis.set_major_locator(MaxNLocator(4))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))


def show_days(axes: Axes) -> None:
    """Write the ticks of a time axis as short dates."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator(minticks=3, maxticks=6)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))


def clip_label(text: str) -> str:
    """Shorten a label so that it leaves room for the data."""
    return text if len(text) <= _LONGEST_LABEL else text[: _LONGEST_LABEL - 1] + "…"


def _shorten_tag(match: re.Match[str]) -> str:
    """Round coordinates to a hundredth of a unit and name the colours and the page's own font."""
    tag = re.sub(r"(\.\d\d)\d+", r"\1", match.group())
    for name, value in COLOURS.items():
        tag = tag.replace(value, f"var(--{name}, {value})")
    return re.sub(r"'DejaVu Sans'[^;\"]*", "var(--sans, system-ui, sans-serif)", tag)
