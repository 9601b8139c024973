"""Pipelines on Kubeflow Pipelines, found again by their key, and the recurring runs that it keeps.

In: a key, a pipeline, a problem, a time. Out: a KFP run whose display name is the key, in an experiment named after the
problem. Implements `components.base.runner.Runner`. kfp is imported at the first call, and only then; `kfp.Client`
finds the API itself (KF_PIPELINES_ENDPOINT, or the cluster that it runs in), and with several users the namespace,
which is that of its pod.

KFP accepts any number of runs with one name: each start looks the key up first, and the governor's database keeps two
governors from looking it up at the same time. KFP knows only that steps ended; the model registry knows the outcome of
a release.
"""

import io
import json
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, cast

from components.base.adapters import mlflow as tracking
from components.base.adapters.s3 import open_store
from components.base.contract.load import load_problem
from components.base.errors import PermanentError, SettingsError, TidemillError, TransientError
from components.base.runner import ListedRun, Pipeline, RecurringRun, RunProgress, RunReport, RunState, StepProgress
from components.base.settings import Settings
from components.data.run_end import find_reason
from pipelines.resources import STEPS, STEPS_ACCOUNT
from pipelines.runners.compile import compile_to

_ENDED_BADLY = ("FAILED", "CANCELED", "SKIPPED")
_PAGE_SIZE = 100
# Reads the outcome of a succeeded training from the registry: problem and run id in, outcome and version out.
ReadOutcome = Callable[[str, str], tuple[Literal["promoted", "held"], str | None]]
# Reads why a run failed: its id in, words out.
ReadReason = Callable[[str], str]
# What a person reads beside a recurring run. It tells ours from those of people and of other installations, which may
# share one Kubeflow.
_MARK = "Kept by `tidemill schedules apply` of {namespace}, replaced when its contract changes. Fingerprint "
_StepState = Literal["waiting", "running", "succeeded", "failed", "skipped"]
_STATES: dict[str, _StepState] = {
    "RUNNING": "running",
    "SUCCEEDED": "succeeded",
    "CACHED": "succeeded",
    "FAILED": "failed",
    "CANCELED": "failed",
    "SKIPPED": "skipped",
    "OMITTED": "skipped",
}
# What a person must know first of the nodes of one step.
_BY_WEIGHT: tuple[_StepState, ...] = ("failed", "running", "waiting", "succeeded", "skipped")


class KubeflowRunner:
    """Runs on Kubeflow Pipelines."""

    keeps_schedules = True

    def __init__(self, settings: Settings, read_outcome: ReadOutcome, read_reason: ReadReason) -> None:
        """Keep the settings; nothing is connected yet.

        Raises:
            SettingsError: there is no image for the steps.
        """
        if settings.image is None:
            raise SettingsError("TIDEMILL_IMAGE must be set to run on Kubeflow Pipelines, but is not. Name the image.")
        self._image = settings.image
        self._mark = _MARK.format(namespace=settings.endpoint_namespace)
        self._problems = settings.problems
        self._read_outcome = read_outcome
        self._read_reason = read_reason
        self._client: Any = None
        self._experiments: dict[str, str] = {}

    def start(self, key: str, pipeline: Pipeline, problem: str, as_of: datetime) -> None:
        """Create the run, unless there is one with this key.

        Raises:
            TransientError: the API does not answer, or not to us.
            PermanentError: it refuses the run.
        """
        # Refuse an unknown name before a pod starts; the run reads the contract from the cluster's ConfigMap.
        load_problem(self._problems / f"{problem}.yaml")
        with _explain_errors(f"run {key}"), tempfile.TemporaryDirectory() as folder:
            client = self._open()
            experiment = self._find_experiment(problem)
            if self._look_up(experiment, key) is not None:
                return
            package = Path(folder) / f"{pipeline}.yaml"
            compile_to(package, pipeline, self._image)
            client.create_run_from_pipeline_package(
                str(package),
                arguments={"problem": problem, "as_of": as_of.isoformat()},
                run_name=key,
                experiment_id=experiment,
                service_account=STEPS_ACCOUNT,
            )

    def find(self, key: str, problem: str) -> RunReport:
        """Return what KFP knows of the run, and the registry's outcome of a training that succeeded.

        Raises:
            TransientError: the API or the registry does not answer.
        """
        return self._report(problem, self._find_run(key, problem))

    def read_progress(self, key: str, problem: str) -> RunProgress:
        """Return the state of the run and of each of its steps, with the errors of `find`."""
        run = self._find_run(key, problem)
        if run is None:
            return RunProgress(RunReport("unknown"))
        with _explain_errors(f"run {key}"):
            details = self._open().get_run(run.run_id).run_details
            # The client's own way to the UI; KF_PIPELINES_UI_ENDPOINT names it where it is not the API's.
            url = f"{self._open()._get_url_prefix()}/#/runs/details/{run.run_id}"
        try:
            report = self._report(problem, run)
        except TidemillError as error:
            # Registry and object store may be out of a person's reach; the run has ended all the same.
            report = RunReport(_read_state(run), reasons=(f"Its outcome could not be read here. {error}",))
        return RunProgress(report, _list_steps(details), url)

    def _find_run(self, key: str, problem: str) -> Any:
        with _explain_errors(f"run {key}"):
            return self._look_up(self._find_experiment(problem), key)

    def _find_experiment(self, problem: str) -> str:
        """Return the id of the problem's experiment, which is made when it is missing."""
        if problem not in self._experiments:
            self._experiments[problem] = str(self._open().create_experiment(problem).experiment_id)
        return self._experiments[problem]

    def _report(self, problem: str, run: Any) -> RunReport:
        if run is None:
            return RunReport("unknown")
        state = _read_state(run)
        if state == "failed":
            # KFP itself knows neither the step that failed nor its words.
            reason = self._read_reason(str(run.run_id)) if run.state == "FAILED" else f"It was {run.state.lower()}."
            return RunReport("failed", reasons=(f"{reason} Run id {run.run_id}.",))
        if state == "running" or _read_pipeline(run) != "training":
            return RunReport(state)
        outcome, version = self._read_outcome(problem, str(run.run_id))
        reasons = () if outcome == "promoted" else (f"It was not promoted; its report says why. Run id {run.run_id}.",)
        return RunReport("succeeded", outcome, version, reasons)

    def list_runs(self, problem: str | None = None) -> list[ListedRun]:
        """Return the runs of one experiment or of all, the oldest first.

        Raises:
            TransientError: the API does not answer.
        """
        with _explain_errors("runs"):
            names = self._name_experiments(problem)
            found = [run for experiment in names for run in self._read_pages("list_runs", "runs", experiment)]
        return [_list_run(run, names) for run in sorted(found, key=lambda run: run.created_at)]

    def list_schedules(self, problem: str | None = None) -> list[RecurringRun]:
        """Return the recurring runs with a cron line, of one experiment or of all.

        Raises:
            TransientError: the API does not answer.
        """
        with _explain_errors("recurring runs"):
            names = self._name_experiments(problem)
            found = [
                (run, name)
                for experiment, name in names.items()
                for run in self._read_pages("list_recurring_runs", "recurring_runs", experiment)
            ]
        return [
            RecurringRun(
                run.display_name,
                name,
                run.trigger.cron_schedule.cron,
                is_enabled=run.status == "ENABLED",
                pipeline=_read_pipeline(run),
                id=run.recurring_run_id or "",
                mark=self._read_mark(run.description or ""),
                since=run.created_at,
            )
            for run, name in found
            if run.trigger and run.trigger.cron_schedule
        ]

    def _read_mark(self, description: str) -> str:
        return description.removeprefix(self._mark) if description.startswith(self._mark) else ""

    def create_schedule(self, schedule: RecurringRun) -> None:
        """Create the recurring run; of the due times that were missed since `since` only the newest is made up.

        KFP remembers for a recurring run which due time it started last, and not beyond its end.

        Raises:
            TransientError: the API does not answer, or not to us.
            PermanentError: it refuses the recurring run.
        """
        with _explain_errors(f"schedule {schedule.name}"), tempfile.TemporaryDirectory() as folder:
            package = Path(folder) / f"{schedule.pipeline}.yaml"
            compile_to(package, cast(Pipeline, schedule.pipeline), self._image)
            self._open().create_recurring_run(
                experiment_id=self._find_experiment(schedule.problem),
                job_name=schedule.name,
                description=f"{self._mark}{schedule.mark}",
                cron_expression=schedule.cron,
                pipeline_package_path=str(package),
                # Without a time the run takes the one for which it was due, also when it starts late.
                params={"problem": schedule.problem},
                max_concurrency=1,
                no_catchup=True,
                start_time=schedule.since and f"{schedule.since.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
                service_account=STEPS_ACCOUNT,
            )

    def delete_schedule(self, schedule: RecurringRun) -> None:
        """Delete the recurring run; its runs stay."""
        with _explain_errors(f"schedule {schedule.name}"):
            self._open().delete_recurring_run(schedule.id)

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

    def _name_experiments(self, problem: str | None) -> dict[str, str]:
        """Return the name of each experiment by its id: a problem's, or all."""
        found = self._read_pages("list_experiments", "experiments")
        return {one.experiment_id: one.display_name for one in found if problem in (None, one.display_name)}

    def _read_pages(self, method: str, field: str, experiment: str | None = None) -> Iterator[Any]:
        where = {} if experiment is None else {"experiment_id": experiment}
        token = ""
        while True:
            page = getattr(self._open(), method)(page_token=token, page_size=_PAGE_SIZE, **where)
            yield from getattr(page, field) or []
            token = page.next_page_token or ""
            if not token:
                return


def read_registry(settings: Settings) -> ReadOutcome:
    """Return a reader of a run's outcome: promoted if the champion carries the run's id."""

    def read(problem: str, run_id: str) -> tuple[Literal["promoted", "held"], str | None]:
        for alias, version in tracking.find_aliases(problem, settings).items():
            if tracking.find_version(problem, version, settings).tags.get("kfp_run_id") == run_id:
                return ("promoted" if alias == "champion" else "held"), version
        return "held", None

    return read


def read_reasons(settings: Settings) -> ReadReason:
    """Return a reader of the reason that a failed step left in the object store."""

    def read(run_id: str) -> str:
        return find_reason(open_store(settings), run_id)

    return read


def _read_state(run: Any) -> RunState:
    if run.state in _ENDED_BADLY:
        return "failed"
    return "succeeded" if run.state == "SUCCEEDED" else "running"


def _list_steps(details: Any) -> tuple[StepProgress, ...]:
    """Return the steps among the nodes of the run, which has one more for each driver, group and executor.

    A node without a state waits or was left out.
    """
    nodes = [node for node in (details.task_details if details else None) or [] if node.display_name in STEPS]
    steps: dict[str, list[Any]] = {}
    for node in sorted(nodes, key=lambda node: node.create_time):
        if node.state:
            steps.setdefault(node.display_name, []).append(node)
    return tuple(_describe_step(name, nodes) for name, nodes in steps.items())


def _describe_step(name: str, nodes: list[Any]) -> StepProgress:
    """Describe a step by its nodes in the order of their begin: more than one in a loop, or when Argo repeated it.

    A loop's step has failed as soon as one node has, and succeeded when all have.
    """
    newest = nodes[-1]
    # A repeated one began when the failed one had ended; those of a loop begin together.
    counted = [node for node in nodes if node is newest or not _has_failed(node) or node.end_time > newest.start_time]
    states = [_STATES.get(node.state, "waiting") for node in counted]
    state = next(state for state in _BY_WEIGHT if state in states)
    begin, ends = min(node.start_time for node in counted), [node.end_time for node in counted]
    # A node that has not ended has a time long ago.
    return StepProgress(name, state, (max(ends) - begin).total_seconds() if min(ends) > begin else None)


def _has_failed(node: Any) -> bool:
    return _STATES.get(node.state) == "failed"


def _read_pipeline(run: Any) -> str:
    """Return the pipeline's name; `-` where the API leaves the specification out."""
    spec = run.pipeline_spec or {}
    # With settings for Kubernetes the specification is one of two documents.
    return str((spec.get("pipeline_spec", spec).get("pipelineInfo") or {}).get("name", "-"))


def _list_run(run: Any, problems: dict[str, str]) -> ListedRun:
    parameters = (run.runtime_config.parameters or {}) if run.runtime_config else {}
    # Of a run that has not ended the API gives the first day of 1970.
    seconds = (run.finished_at - run.created_at).total_seconds() if run.finished_at else 0.0
    return ListedRun(
        key=run.display_name,
        pipeline=_read_pipeline(run),
        problem=problems[run.experiment_id],
        # A recurring run takes the time for which it was due.
        as_of=str(parameters.get("as_of") or (run.scheduled_at.isoformat() if run.scheduled_at else "-")),
        state=_read_state(run),
        started=run.created_at,
        seconds=seconds if seconds > 0 else None,
        is_scheduled=bool(run.recurring_run_id),
    )


@contextmanager
def _explain_errors(where: str) -> Iterator[None]:
    from kfp_server_api import ApiException  # type: ignore[import-untyped]
    from urllib3.exceptions import HTTPError

    try:
        # The client prints a link at each call.
        with redirect_stdout(io.StringIO()):
            yield
    except ApiException as error:
        words = f"{where}: Kubeflow Pipelines must accept it, but answered {error.status} {error.reason}."
        if error.status == 400:
            raise PermanentError(f"{words} {str(error.body)[:300]}") from error
        raise TransientError(f"{words} It is tried again.") from error
    except (HTTPError, OSError) as error:
        raise TransientError(
            f"{where}: Kubeflow Pipelines must answer, but got: {error}. Check KF_PIPELINES_ENDPOINT."
        ) from error
