"""What a kind of problem adds to the reports: its words, numbers, pictures and pieces of templates.

The reports take these from the task and know no kind themselves. A task's `report` is its `TaskReport`; the module that
makes it is imported when a report is rendered.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.base.contract.problem import Problem
from components.reports.release.material import Material

Picture = Callable[[Material], str | None]
"""From the material to SVG, or to nothing where the material lacks what the picture needs."""


@dataclass(frozen=True)
class Tile:
    """One number that matters, with what it means."""

    label: str
    value: str
    note: str


@dataclass(frozen=True)
class TaskReport:
    """The part of a report that one kind of problem owns."""

    templates: Path
    """Folder of `task/<piece>.html.j2`: `answer`, `framing`, `outcome`, `model`, `policy`, `test_pictures`,
    `test_rows`."""
    metric_words: Mapping[str, str]
    """What each metric means in one line for a reader who does not know it, in the order of the tables."""
    pictures: Mapping[str, Picture]
    """By the name that the pieces use."""
    output_word: str
    """What the first column of an output is called."""
    outputs_word: str
    """The same in the plural."""
    format_mean: Callable[[float | None], str]
    """Format a mean of outputs or outcomes."""
    format_worth: Callable[[Problem], str]
    """The sentence on what a right and a wrong decision are worth."""
    format_skill: Callable[[Material], str]
    """The sentence on how well the decisions of the new model hit, for the answer."""
    build_tile: Callable[[Material], Tile]
    """The number that sums up those decisions."""
    collect_values: Callable[[Material], dict[str, Any]]
    """What the templates need: `format_output` and `format_policy`, which format an output and a stored policy;
    `mean_label`, `rate_label` and `loss_label`, which name a mean outcome, the rate of a fairness limit and the loss of
    a row; and the values of the task's own pieces."""
