"""One screen of an installation: services, runs, live models with their traffic, alerts, freshness.

In: the settings, where this process is; on a cluster a pod of the installation. Out: `StatusSection`s of lines. Called
by `tidemill status`. What cannot be read is said in its own line: a status is asked for when something does not work.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

import httpx

from components.base.adapters import mlflow as tracking
from components.base.adapters.kubernetes import DEPLOYMENTS, PODS, STATEFULSETS, Kubernetes
from components.base.adapters.prometheus_api import query_prometheus
from components.base.adapters.s3 import open_store
from components.base.clock import read_clock
from components.base.contract.load import load_problems
from components.base.contract.problem import Problem
from components.base.errors import TidemillError
from components.base.run_records import read_records
from components.base.runner import ListedRun
from components.base.schedule import find_next
from components.base.settings import Settings
from components.base.text.wording import format_time, write_count, write_span
from components.features.online.store import open_online_store
from components.governor.archive import Archive
from components.governor.schema import Database
from components.monitoring.results import read_results
from components.serving.host import open_cluster, open_host

_OWN = {"app.kubernetes.io/part-of": "tidemill"}
_ENDPOINT_LABEL = "serving.kserve.io/inferenceservice"
_ROWS = "tidemill_predictor_rows_total"
_PREDICTOR_PORT = 8080
_TIMEOUT_SECONDS = 5.0


@dataclass(frozen=True)
class StatusSection:
    """One part of the screen."""

    title: str
    lines: tuple[str, ...]


def read_status(settings: Settings) -> Iterator[StatusSection]:
    """Yield the sections one by one, for each takes a second; none raises."""
    problems = load_problems(settings.problems)
    now = read_clock(settings)
    cluster = open_cluster(settings)
    if cluster is not None:
        yield _read("services", lambda: _list_services(cluster))
    runs = _Runs(settings)
    for name, problem in problems.items():
        yield StatusSection(name, ())
        yield _read("runs", lambda: runs.list(problem, now))  # noqa: B023 - read before the next problem
        yield _read("model", lambda: _list_models(problem, settings))  # noqa: B023
        yield _read("fresh", lambda: _list_freshness(problem, settings, now))  # noqa: B023
    yield _read("alerts", lambda: _list_alerts(settings))


def _read(title: str, read: Callable[[], Iterable[str]]) -> StatusSection:
    lines: list[str] = []
    try:
        for line in read():
            lines.append(line)
    except TidemillError as error:
        lines.append(_excuse(error))
    return StatusSection(title, tuple(lines))


def _excuse(error: TidemillError) -> str:
    words = " ".join(str(error).split())
    return f"cannot be read: {words[:160]}{'…' if len(words) > 160 else ''}"


def _list_services(cluster: Kubernetes) -> Iterator[str]:
    found = [one for kind in (STATEFULSETS, DEPLOYMENTS) for one in cluster.list(kind, _OWN)]
    states = []
    for one in found:
        wanted, ready = one["spec"].get("replicas", 1), one["status"].get("readyReplicas", 0)
        states.append((one["metadata"]["name"].removeprefix("tidemill-"), ready, wanted))
    yield ", ".join(f"{name} {ready}/{wanted}" for name, ready, wanted in states) or "none"
    if any(ready < wanted for _, ready, wanted in states):
        yield f"! {cluster.explain_pods(_OWN)}"


class _Runs:
    """The runs of the platform, asked for once."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._listed: list[ListedRun] | None = None
        self._excuse = ""

    def list(self, problem: Problem, now: datetime) -> Iterator[str]:
        """Say of each pipeline how it ended last, whether it runs, and when it is due."""
        records = read_records(open_store(self._settings), problem.name)
        running = [run for run in self._list_running() if run.problem == problem.name]
        for pipeline, cron in (("training", problem.retraining.schedule), *problem.schedules.items()):
            own = [record for record in records if record.pipeline == pipeline]
            last = f"{own[-1].status} {format_time(own[-1].ended)} in {write_span(own[-1].seconds)}" if own else "never"
            runs = [f"running since {format_time(run.started)}" for run in running if run.pipeline == pipeline]
            due = f"due {format_time(find_next(cron, now))} UTC" if cron else "on alerts only"
            yield f"{pipeline:<12}{'; '.join([last, *runs])}; {due}"
        if self._excuse:
            yield f"what runs now {self._excuse}"
            self._excuse = ""
        yield f"retraining  {_read_pause(problem.name, self._settings)}"

    def _list_running(self) -> Iterable[ListedRun]:
        from pipelines.runners import open_runner

        if self._listed is None:
            self._listed = []
            try:
                found = open_runner(self._settings).list_runs()
                self._listed = [run for run in found if run.state == "running"]
            except TidemillError as error:
                self._excuse = _excuse(error)
        return self._listed


def _read_pause(problem: str, settings: Settings) -> str:
    try:
        paused_by = Archive(Database(settings.governor_database)).list_pauses().get(problem)
    except TidemillError as error:
        return _excuse(error)
    return f"is paused by {paused_by}" if paused_by else "is not paused"


def _list_models(problem: Problem, settings: Settings) -> Iterator[str]:
    aliases = tracking.find_aliases(problem.name, settings)
    named = [f"{alias} version {version}" for alias, version in sorted(aliases.items())]
    yield f"registry: {', '.join(named) or 'no version'}"
    live = open_host(settings).live(problem.serving.endpoint)
    shares = ", ".join(f"version {version} {percent} %" for version, percent in sorted(live.items()))
    yield f"endpoint {problem.serving.endpoint}: {shares or 'none'}"
    cluster = open_cluster(settings)
    if live and cluster is not None:
        yield _count_traffic(problem, settings, cluster)


def _count_traffic(problem: Problem, settings: Settings, cluster: Kubernetes) -> str:
    """Say how many rows each version predicted, and by what that was counted."""
    if settings.prometheus_url:
        own = f'problem="{problem.name}",namespace=~"{settings.endpoint_namespace}|"'
        query = f"sum by (model_version) (increase({_ROWS}{{{own}}}[1h]))"
        try:
            found = query_prometheus(settings.prometheus_url, query)
            if found:
                counted = {sample.labels.get("model_version", "?"): sample.value for sample in found}
                return f"rows of the last hour, by Prometheus: {_write_rows(counted)}"
        except TidemillError:
            pass  # Then the predictors themselves are asked.
    rows, pods = _ask_predictors(problem, cluster)
    return f"rows since their start, as {pods} predictors count them: {_write_rows(rows)}"


def _ask_predictors(problem: Problem, cluster: Kubernetes) -> tuple[Mapping[str, float], int]:
    rows: Counter[str] = Counter()
    pods = cluster.list(PODS, {_ENDPOINT_LABEL: problem.serving.endpoint})
    answered = 0
    for pod in pods:
        address = pod["status"].get("podIP")
        try:
            text = httpx.get(f"http://{address}:{_PREDICTOR_PORT}/metrics", timeout=_TIMEOUT_SECONDS).text
        except httpx.HTTPError:
            continue
        answered += 1
        rows.update(read_counted_rows(text))
    return rows, answered


def read_counted_rows(text: str) -> dict[str, int]:
    """Return the rows by version that a predictor's own /metrics counts."""
    found: Counter[str] = Counter()
    for line in text.splitlines():
        if line.startswith(f"{_ROWS}{{"):
            labels, _, value = line.rpartition(" ")
            found[labels.partition('model_version="')[2].partition('"')[0]] += int(float(value))
    return dict(found)


def _write_rows(rows: Mapping[str, float]) -> str:
    return (
        ", ".join(f"version {version} {write_count(round(count))}" for version, count in sorted(rows.items())) or "none"
    )


def _list_freshness(problem: Problem, settings: Settings, now: datetime) -> Iterator[str]:
    as_of = open_online_store(settings).held_as_of(problem.name)
    age = f" ({write_span((now - as_of).total_seconds())} ago)" if as_of else ""
    yield f"features    {f'as of {format_time(as_of)}{age}' if as_of else 'the online store was never filled'}"
    results = read_results(open_store(settings), problem.name, last=1)
    for result in results:
        age = write_span((now - result.computed_at).total_seconds())
        yield f"monitoring  window until {format_time(result.as_of)}, computed {age} ago"
    if not results:
        yield "monitoring  no result yet"


def _list_alerts(settings: Settings) -> Iterator[str]:
    if not settings.prometheus_url:
        yield "no Prometheus is configured: look at Grafana"
        return
    query = f'ALERTS{{alertstate="firing",namespace=~"{settings.endpoint_namespace}|"}}'
    found = query_prometheus(settings.prometheus_url, query)
    names = sorted({f"{one.labels.get('alertname')} ({one.labels.get('problem', 'no problem')})" for one in found})
    yield f"firing: {', '.join(names)}" if names else f"none fires, by {settings.prometheus_url}"
