"""Compare the output of each step of two runs of one contract at one time, wherever they ran.

In: two summaries, each of a run's folder on this machine or of an object store. Out: one row an output, in the order of
the steps: the first that differs names the step at which the runs part. Called by `tidemill compare-places`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from components.base import documents
from components.base.adapters.s3 import open_store
from components.base.errors import DataError
from components.base.settings import Settings
from components.release.record import STEPS
from components.reports.release.summary import ReleaseSummary


@dataclass(frozen=True)
class ComparedOutput:
    """One output of two runs."""

    name: str
    step: str
    first: str
    """Its fingerprint in the first run; empty where the run has none."""
    second: str

    @property
    def is_equal(self) -> bool:
        """Whether both runs made the same."""
        return bool(self.first) and self.first == self.second


def read_run(place: str, settings: Settings) -> ReleaseSummary:
    """Read the summary of a training.

    Args:
        place: The run's folder or its `summary.json` on this machine, or `s3://…/summary.json`.
        settings: Name the object store of an `s3://` place.

    Raises:
        DataError: nothing there is the summary of a training.
        ObjectMissingError: the object store has nothing there.
    """
    if "://" in place:
        try:
            return ReleaseSummary.model_validate_json(open_store(settings).get_bytes(place))
        except ValueError as error:
            raise DataError(f"{place}: it must be the summary of a training, but got {error}.") from error
    path = Path(place)
    return documents.read(ReleaseSummary, path / "summary.json" if path.is_dir() else path)


def compare_runs(first: ReleaseSummary, second: ReleaseSummary) -> Sequence[ComparedOutput]:
    """Return every output of both runs in the order of the steps.

    Raises:
        DataError: the runs are of two problems or two times, and have to differ.
    """
    if (first.problem, first.as_of) != (second.problem, second.as_of):
        raise DataError(
            f"compare-places: both runs must be of one problem and as_of, but got {first.problem} as of {first.as_of} "
            f"and {second.problem} as of {second.as_of}. Name two runs of the same."
        )
    outputs = [{**run.fingerprints, "verdict": run.verdict} for run in (first, second)]
    return [
        ComparedOutput(name, step, *(str(output.get(name, "")) for output in outputs)) for name, step in STEPS.items()
    ]
