"""The record of one pipeline run on this machine: `run.json` in the run's folder, `last-run.json` for the newest run.

In: a run that has begun or ended. Out: a frozen document, written and read by `documents`. Called by the local runner,
the list of runs and the home page. Beside the run's own fields it holds those of the pipeline's `summary.json` that
they show; a record of another version still reads: an unknown field is ignored, a missing one has its default.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict

from components.base.runner import Pipeline

# The summary of a training counts its rows by fate, under the same name.
Rows = Annotated[int | None, BeforeValidator(lambda value: value if isinstance(value, int) else None)]


class RunRecordPart(BaseModel):
    """A part of a record; open, so that older and newer versions read it."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class StepRecord(RunRecordPart):
    """One step of the run."""

    name: str
    status: Literal["done", "reused", "failed"]
    seconds: float
    own_seconds: float = 0.0
    """Inside the step's function; the rest is the start of its process."""
    message: str = ""
    """The step's last log line."""


class RoleValue(RunRecordPart):
    """What a contender earned on the test rows."""

    role: str
    value: float | None
    """Per 1,000 predictions, in the record's currency; None when unknown."""


class WindowNumber(RunRecordPart):
    """One number of a monitored window, as the reports print it."""

    label: str
    number: str
    note: str = ""
    verdict: str = ""


class BegunRun(RunRecordPart):
    """What a run is, in `begun.json` of its folder from its start on: one that died leaves nothing else."""

    pipeline: Pipeline
    problem: str
    as_of: str
    """ISO 8601, UTC."""


class LocalRun(RunRecordPart):
    """What one run did."""

    name: str
    """Of the run and its folder."""
    pipeline: Pipeline = "training"
    problem: str
    as_of: str
    """ISO 8601, UTC."""
    status: Literal["done", "failed"]
    started: str
    """ISO 8601, UTC."""
    seconds: float | None = None
    """None where only the pages of a run are known."""
    peak_memory_bytes: int = 0
    """Largest resident set of a step or of the command so far; the object store still runs and is not in it."""
    steps: tuple[StepRecord, ...] = ()
    """In order."""
    error: str | None = None
    log: str = ""
    report: str | None = None
    """Path of the page that a person opens first."""

    verdict: str | None = None
    """Of a training's release: promote, hold or refuse."""
    verdict_in_words: str | None = None
    """Of a training or of a monitored window."""
    deployment: Literal["promoted", "refused", "kept"] | None = None
    """None for a pipeline that releases nothing."""
    reasons: tuple[str, ...] = ()
    """Of the verdict."""
    model_version: str | None = None
    """The version that was registered, or that served the window."""
    currency: str = ""
    scores: tuple[RoleValue, ...] = ()

    tone: str | None = None
    """Of a monitored window: good, hold or bad."""
    headline: str | None = None
    rows: Rows = None
    """Served in the window."""
    numbers: tuple[WindowNumber, ...] = ()

    features_uri: str | None = None
    """Where a refresh left its feature tables."""
