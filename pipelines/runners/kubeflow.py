"""Start training runs on Kubeflow Pipelines for the governor, and find them again by their key.

In: a key, a problem, a moment. Out: a KFP run whose display name is the key, in an experiment named after the problem.
Called by the governor's worker through `components/governor/launcher.py`. kfp is imported when the first run is
started, and only then; where the API is, `kfp.Client` finds out (KF_PIPELINES_ENDPOINT, or the cluster it is in).

KFP takes any number of runs of one name: each start looks the key up first, and the governor's database keeps two
governors from looking at once. What became of a release, the model registry tells: KFP knows only that steps ended.
"""

import json
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Literal

from components.base.adapters import mlflow as tracking
from components.base.errors import PermanentError, SettingsError, TransientError
from components.base.settings import Settings
from components.governor.launcher import RunReport

_ENDED_BADLY = ("FAILED", "CANCELED", "SKIPPED")
# Tells of a succeeded run what the registry made of it: problem and run id in, outcome and version out.
ReadOutcome = Callable[[str, str], tuple[Literal["promoted", "held"], str | None]]


class KfpLauncher:
    """Runs on Kubeflow Pipelines."""

    def __init__(self, contracts: Mapping[str, str], settings: Settings, read_outcome: ReadOutcome) -> None:
        """Take the contracts as YAML by problem.

        Raises:
            SettingsError: there is no image for the steps.
        """
        if settings.image is None:
            raise SettingsError("TIDEMILL_IMAGE must be set to run on Kubeflow Pipelines, but is not. Name the image.")
        self._contracts = contracts
        self._read_outcome = read_outcome
        self._client: Any = None

    def start(self, key: str, problem: str, as_of: datetime) -> None:
        """Create the run, unless there is one of this key.

        Raises:
            TransientError: the API does not answer, or not to us.
            PermanentError: it takes no such run.
        """
        with _in_words(key):
            client = self._open()
            experiment = client.create_experiment(problem).experiment_id
            if self._look_up(experiment, key) is not None:
                return
            from pipelines.training import training

            client.create_run_from_pipeline_func(
                training,
                arguments={"contract": self._contracts[problem], "as_of": as_of.isoformat()},
                run_name=key,
                experiment_id=experiment,
            )

    def find(self, key: str, problem: str) -> RunReport:
        """Return what KFP knows of the run, and of one that succeeded what the registry made of it.

        Raises:
            TransientError: the API or the registry does not answer.
        """
        with _in_words(key):
            run = self._look_up(self._open().create_experiment(problem).experiment_id, key)
        if run is None:
            return RunReport("unknown")
        if run.state in _ENDED_BADLY:
            message = getattr(run.error, "message", None) or f"Kubeflow Pipelines ended it as {run.state}."
            return RunReport("failed", reasons=(f"{message} Run id {run.run_id}.",))
        if run.state != "SUCCEEDED":
            return RunReport("running")
        outcome, version = self._read_outcome(problem, str(run.run_id))
        reasons = () if outcome == "promoted" else (f"It was not promoted; its report says why. Run id {run.run_id}.",)
        return RunReport("succeeded", outcome, version, reasons)

    def _open(self) -> Any:
        if self._client is None:
            import kfp

            with warnings.catch_warnings():
                # It says that it needs a backend of 2.0; ours is 2.17.
                warnings.simplefilter("ignore", FutureWarning)
                self._client = kfp.Client()
        return self._client

    def _look_up(self, experiment: str, key: str) -> Any:
        predicate = {"operation": "EQUALS", "key": "display_name", "stringValue": key}
        found = self._open().list_runs(experiment_id=experiment, filter=json.dumps({"predicates": [predicate]}))
        # Whatever the server makes of the filter, only the very name counts.
        return next((run for run in found.runs or [] if run.display_name == key), None)


def read_registry(settings: Settings) -> ReadOutcome:
    """Return a reader that tells whether a run's release is in charge, by the run's id on the champion."""

    def read(problem: str, run_id: str) -> tuple[Literal["promoted", "held"], str | None]:
        for alias, version in tracking.find_aliases(problem, settings).items():
            if tracking.find_version(problem, version, settings).tags.get("kfp_run_id") == run_id:
                return ("promoted" if alias == "champion" else "held"), version
        return "held", None

    return read


@contextmanager
def _in_words(key: str) -> Iterator[None]:
    from kfp_server_api import ApiException  # type: ignore[import-untyped]
    from urllib3.exceptions import HTTPError

    try:
        yield
    except ApiException as error:
        words = f"run {key}: Kubeflow Pipelines must take it, but answered {error.status} {error.reason}."
        if error.status == 400:
            raise PermanentError(f"{words} {str(error.body)[:300]}") from error
        raise TransientError(f"{words} It is tried again.") from error
    except (HTTPError, OSError) as error:
        raise TransientError(
            f"run {key}: Kubeflow Pipelines must answer, but got: {error}. Check KF_PIPELINES_ENDPOINT."
        ) from error
