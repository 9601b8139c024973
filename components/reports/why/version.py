"""Tell the chain behind a version: what asked for it, what it was made of, what judged it, what became of it.

In: the version's files and tags, the governor's rulings, the report of its run. Out: one `Link` a stage, in words, with
the place of the file that says so. Called by `tidemill why`; judges nothing.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from components.base import documents
from components.base.adapters import mlflow as tracking
from components.base.adapters.mlflow_records import ModelFiles, VersionRecord
from components.base.adapters.s3 import open_store
from components.base.contract.problem import Problem
from components.base.settings import Settings
from components.base.text.wording import format_time, join_words
from components.data.snapshot import read_snapshot
from components.models.documents import Evaluation, ReleaseRefit
from components.models.refit import REFIT
from components.release.provenance import Provenance, fetch_version
from components.reports.library import find_release_report
from components.reports.sources import list_rulings
from components.reports.why.link import Link


def explain_version(problem: str, version: str, folder: Path, settings: Settings) -> list[Link]:
    """Tell how a version came to be and what became of it.

    Args:
        problem: Name of the problem.
        version: Number in the registry.
        folder: Gets the files of the version and of the one that it met.
        settings: Name registry, object store and the governor's database.

    Raises:
        ModelRefusedError: there is no such version, or an older platform registered it.
        DataError: a file or a tag was edited since.
        TransientError: registry or object store does not answer.
    """
    recorded = fetch_version(problem, version, folder / version, settings)
    files, provenance = recorded.files, recorded.provenance
    return [
        _tell_cause(files.problem, version, settings),
        _tell_run(provenance, settings),
        _tell_contract(files, provenance.champion, folder, settings),
        _tell_data(provenance, settings),
        _tell_maker(provenance),
        _tell_judgement(files),
        *_tell_refit(files),
        *_tell_stages(recorded.record, tracking.find_aliases(problem, settings)),
    ]


def _tell_cause(problem: Problem, version: str, settings: Settings) -> Link:
    for ruling in list_rulings(problem, settings):
        if ruling.run and ruling.run.version == version:
            cause = "the schedule" if ruling.cause == "schedule" else f"the {ruling.cause} {ruling.name}"
            asked = f"The governor ruled on {format_time(ruling.ruled_at)} that {cause} starts a training."
            return Link("cause", (asked, ruling.words), f"ruling {ruling.id} (tidemill rulings list)")
    return Link("cause", ("A person or a program outside started the training: no ruling names this version.",))


def _tell_run(provenance: Provenance, settings: Settings) -> Link:
    words = f"The run {provenance.run_id} read what was known on {format_time(provenance.as_of)}."
    report = find_release_report(open_store(settings), provenance.problem, provenance.as_of, provenance.run_id)
    return Link("run", (words,), report or "its report is not in the object store")


def _tell_contract(files: ModelFiles, champion: str | None, folder: Path, settings: Settings) -> Link:
    place = f"{files.storage_uri}/problem.json"
    if champion is None:
        return Link("contract", ("It was the first: there was no champion whose contract could differ.",), place)
    met = tracking.download_version(files.problem.name, champion, folder / champion, settings)
    changes = list_changes(met.problem.model_dump(mode="json"), files.problem.model_dump(mode="json"))
    words = changes or [f"The same as that of the champion of that time, version {champion}."]
    heading = [f"Against the contract of version {champion}, the champion of that time:"] if changes else []
    return Link("contract", (*heading, *words), place)


def list_changes(before: Any, after: Any, where: str = "") -> list[str]:
    """Return each value that differs between two nested documents, as `name.of.value: old, now new`."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        names = dict.fromkeys([*before, *after])
        inner = [list_changes(before.get(name), after.get(name), f"{where}.{name}".lstrip(".")) for name in names]
        return [change for changes in inner for change in changes]
    return [] if before == after else [f"{where}: {_show(before)}, now {_show(after)}"]


def _show(value: Any) -> str:
    return "none" if value is None else str(value)


def _tell_data(provenance: Provenance, settings: Settings) -> Link:
    snapshot = read_snapshot(open_store(settings), provenance.snapshot)
    rows = [
        f"{name}: {source.rows:,} rows; deliveries: {len(source.deliveries)}, the newest of "
        f"{max(delivery.period for delivery in source.deliveries)}"
        for name, source in snapshot.sources.items()
    ]
    return Link("data", tuple(rows), f"{snapshot.prefix}snapshot.json")


def _tell_maker(provenance: Provenance) -> Link:
    made = provenance.made_by
    words = f"Commit {made.commit}, packages of lock {made.lock[:12]}, Python {made.python}, {made.system}."
    return Link("code", (words,), "make reproduce builds it again")


def _tell_judgement(files: ModelFiles) -> Link:
    path = files.model_folder / "evaluation.json"
    evaluation = documents.read(Evaluation, path)
    gates = [f"{gate.verdict}: {gate.name}. {gate.reason}" for gate in evaluation.gates]
    return Link("judgement", (f"Verdict: {evaluation.verdict}.", *gates), f"{files.storage_uri}/{path.name}")


def _tell_refit(files: ModelFiles) -> Iterator[Link]:
    """Tell which model is served; an older platform served the judged one without a record."""
    path = files.model_folder / REFIT
    if path.is_file():
        yield Link("served model", (documents.read(ReleaseRefit, path).reason,), f"{files.storage_uri}/{path.name}")


def _tell_stages(record: VersionRecord, aliases: Mapping[str, str]) -> Iterator[Link]:
    tags, held = record.tags, [alias for alias, version in aliases.items() if version == record.version]
    said = {
        "deployment": "The deployment was {}.",
        "deployment_reasons": "{}",
        "promoted_by": "{} promoted it by hand.",
        "promotion_reason": "The reason given: {}",
        "previous_champion": "It followed version {} as champion.",
        "rolled_back": "It was rolled back: {}",
    }
    words = [sentence.format(tags[name]) for name, sentence in said.items() if tags.get(name)]
    now = f"It is the {join_words(held)} now." if held else "It holds no alias now."
    yield Link("release", (*words, now), f"registry, version {record.version}")
