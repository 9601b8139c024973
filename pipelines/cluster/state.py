"""What an installation holds, counted and digested, so that a restored one can be compared with the one that was kept.

In: the stores of an installation, from within. Out: an `InstallationState`, and the differences of two. Called by
`tidemill stores describe`, which a backup runs before it begins and a restore when it has ended. The answers come from
the real predictor, with the features of the online store, for the golden rows of each champion.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence

from components.base.adapters import mlflow as tracking
from components.base.adapters.s3 import open_store
from components.base.contract.load import load_problems
from components.base.contract.problem import Problem
from components.base.documents import Document
from components.base.settings import Settings
from pipelines.cluster.stores import digest_objects

# A restored predictor adds in the same order: only another machine's floating point may differ.
_TOLERANCE = 1e-9
_ALL = 1_000_000


class GoldenAnswers(Document):
    """What a champion answers for its golden rows."""

    version: str
    outputs: tuple[tuple[float, ...], ...]
    decisions: tuple[str, ...]
    missing: int
    """Features that were missing, over all rows."""


class ProblemContent(Document):
    """One problem."""

    aliases: Mapping[str, str]
    """Version by alias in the registry."""
    online_as_of: str | None
    """Time of the online store's filling; None when it was never filled."""
    entities: Mapping[str, int]
    """In the online store, by view."""
    answers: GoldenAnswers | None
    """None without a champion."""


class InstallationState(Document):
    """One installation."""

    objects: int
    object_bytes: int
    objects_digest: str
    """SHA-256 over keys and sizes."""
    rulings: int
    runs: int
    rulings_digest: str
    """SHA-256 over every ruling with its history and its run."""
    problems: Mapping[str, ProblemContent]


def describe_installation(settings: Settings, *, asks_champions: bool = True) -> InstallationState:
    """Read every store.

    Args:
        settings: Of the installation.
        asks_champions: Start the predictor of each champion for its answers, which takes most of the time.

    Raises:
        TransientError: one does not answer.
    """
    from components.governor.archive import Archive
    from components.governor.schema import Database

    # Where the governor is switched off its database is an empty file here.
    settings.home.mkdir(parents=True, exist_ok=True)
    stored = open_store(settings).list_objects()
    archive = Archive(Database(settings.governor_database))
    records = [archive.find_ruling(record.id) for record in archive.list_rulings(limit=_ALL)]
    texts = sorted(record.model_dump_json() for record in records if record)
    return InstallationState(
        objects=len(stored),
        object_bytes=sum(one.size_bytes for one in stored),
        objects_digest=digest_objects({one.key: one.size_bytes for one in stored}),
        rulings=sum(len(record.history) for record in records if record),
        runs=sum(archive.count_runs().values()),
        rulings_digest=_digest(texts),
        problems={
            name: _describe(one, settings, asks_champions=asks_champions)
            for name, one in load_problems(settings.problems).items()
        },
    )


def compare_states(kept: InstallationState, found: InstallationState) -> list[str]:
    """Return what differs, a sentence each; nothing when the restored installation is the one that was kept."""
    differences = [
        f"{what} must be {before}, but got {after}."
        for what, before, after in (
            ("objects", kept.objects, found.objects),
            ("bytes of the objects", kept.object_bytes, found.object_bytes),
            ("keys and sizes of the objects", kept.objects_digest[:12], found.objects_digest[:12]),
            ("rulings", kept.rulings, found.rulings),
            ("trainings of the governor", kept.runs, found.runs),
            ("words and times of the rulings", kept.rulings_digest[:12], found.rulings_digest[:12]),
            ("problems", sorted(kept.problems), sorted(found.problems)),
        )
        if before != after
    ]
    for name in sorted({*kept.problems} & {*found.problems}):
        differences += [f"{name}: {words}" for words in _compare_problem(kept.problems[name], found.problems[name])]
    return differences


def summarize_state(state: InstallationState) -> list[str]:
    """Say what was compared, a line each."""
    lines = [
        f"{state.objects} objects of {state.object_bytes / 1e6:,.1f} MB, {state.rulings} rulings, "
        f"{state.runs} trainings"
    ]
    for name, problem in state.problems.items():
        rows = problem.answers
        answered = f"version {rows.version}, {len(rows.outputs)} golden rows" if rows else "no champion"
        filled = f"{sum(problem.entities.values())} entities as of {problem.online_as_of}"
        lines.append(f"{name}: {answered}; online store: {filled if problem.online_as_of else 'never filled'}")
    return lines


def without_answers(state: InstallationState) -> InstallationState:
    """Return the state as `describe_installation` returns it when it asks no champion."""
    problems = {name: one.model_copy(update={"answers": None}) for name, one in state.problems.items()}
    return state.model_copy(update={"problems": problems})


def _describe(problem: Problem, settings: Settings, *, asks_champions: bool) -> ProblemContent:
    from components.features.feast.feature_store import declared_views
    from components.features.online.store import open_online_store

    online = open_online_store(settings)
    as_of = online.held_as_of(problem.name)
    aliases = tracking.find_aliases(problem.name, settings)
    has_answers = asks_champions and as_of is not None and "champion" in aliases
    return ProblemContent(
        aliases=aliases,
        online_as_of=as_of.isoformat() if as_of else None,
        entities=online.count_entities(problem.name, declared_views(problem)) if as_of else {},
        answers=_ask_champion(problem.name, settings) if has_answers else None,
    )


def _ask_champion(name: str, settings: Settings) -> GoldenAnswers:
    """Start the champion's predictor beside the stores, and send it its golden rows."""
    import tempfile
    from pathlib import Path

    from components.base.tables import read_table
    from components.serving.client import EndpointAddress, Target, replay_v1
    from components.serving.endpoint import start_endpoint
    from components.serving.predictor.requests import RequestSchema, request_rows
    from components.tasks import open_task

    with tempfile.TemporaryDirectory() as folder, start_endpoint(name, settings) as endpoint:
        files = tracking.download_version(name, endpoint.version, Path(folder), settings)
        schema = RequestSchema.of(files.problem)
        address = EndpointAddress(Target(endpoint.url), endpoint.name, schema, open_task(files.problem).output_columns)
        answers = replay_v1(address, request_rows(schema, read_table(files.model_folder / "golden.parquet")))
    return GoldenAnswers(
        version=endpoint.version,
        outputs=tuple(tuple(row) for row in answers.output.tolist()),
        decisions=tuple(json.dumps(decision) for decision in answers.decisions),
        missing=sum(len(names) for names in answers.missing),
    )


def _compare_problem(kept: ProblemContent, found: ProblemContent) -> Iterator[str]:
    for what, before, after in (
        ("aliases of the registry", dict(kept.aliases), dict(found.aliases)),
        ("time of the online store", kept.online_as_of, found.online_as_of),
        ("entities of the online store", dict(kept.entities), dict(found.entities)),
    ):
        if before != after:
            yield f"{what} must be {before}, but got {after}."
    if kept.answers is None or found.answers is None:
        if kept.answers is not found.answers:
            yield f"golden rows must be answered {'by a champion' if kept.answers else 'by none'}, but are not."
        return
    yield from _compare_answers(kept.answers, found.answers)


def _compare_answers(before: GoldenAnswers, after: GoldenAnswers) -> Iterator[str]:
    if len(before.outputs) != len(after.outputs):
        yield f"answers must be {len(before.outputs)}, but got {len(after.outputs)}."
        return
    pairs = [pair for rows in zip(before.outputs, after.outputs, strict=True) for pair in zip(*rows, strict=True)]
    greatest = max((abs(one - other) for one, other in pairs), default=0.0)
    if not greatest <= _TOLERANCE:
        yield f"outputs of the golden rows must be the same, but differ by up to {greatest:.1e}."
    if before.decisions != after.decisions or before.missing != after.missing:
        yield "decisions and missing features of the golden rows must be the same, but differ."


def _digest(lines: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
