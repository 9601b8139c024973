"""What a version was made of and by: the record from which `make reproduce` builds it again.

In: what a training run made. Out: `provenance.json` among the version's files, and its SHA-256 among the tags, which
another database holds: an edited file, record or tag is found and named. Called by `register`; read by `reproduce` and
`why`.
"""

import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.base import documents
from components.base.adapters import mlflow as tracking
from components.base.adapters.mlflow_records import ModelFiles, VersionRecord
from components.base.code import UNKNOWN, describe_commit, fingerprint_code, fingerprint_lock
from components.base.documents import Document
from components.base.errors import DataError, ModelRefusedError, raise_faults
from components.base.gate import Verdict
from components.base.settings import Settings
from components.base.tables import fingerprint_file

PROVENANCE = "provenance.json"
PROVENANCE_TAG = "provenance_fingerprint"


class Maker(Document):
    """Code and machine of a run."""

    commit: str
    """Of the checkout or the image; `+changes` when files differed from it, `unknown` without both."""
    code: str
    """Fingerprint of what decides a model: every phase up to `models`, the tasks and the feature views."""
    lock: str
    """SHA-256 of requirements.lock."""
    python: str
    system: str
    """Operating system and architecture."""
    cpu: tuple[str, ...]
    """Vector instructions that NumPy uses; with others the last bits of a sum may differ."""


class Provenance(Document):
    """The record of one version."""

    problem: str
    run_id: str
    as_of: str
    """ISO 8601, UTC."""
    snapshot: str
    """URI; its last part is the fingerprint."""
    features: str
    """URI of the feature tables."""
    tried_second: Mapping[str, Mapping[str, Any]]
    """Parameters of the champion of that time, by family: tuning tried them after the defaults."""
    champion: str | None
    """The version that it was compared with; None without one."""
    earlier_openings: int
    """How many other models had been judged on its test rows."""
    verdict: Verdict
    fingerprints: Mapping[str, str]
    """Of the output of each step, as in `Release`."""
    files: Mapping[str, str]
    """SHA-256 of every other file of the version, by its path."""
    made_by: Maker


@dataclass(frozen=True)
class RecordedVersion:
    """A version with its files on this machine, every one of them as it was registered."""

    record: VersionRecord
    files: ModelFiles
    provenance: Provenance


def describe_maker(settings: Settings) -> Maker:
    """Return which code runs here, and on what."""
    import numpy as np

    found: Any = np.show_config(mode="dicts")
    vector = found.get("SIMD Extensions", {})
    return Maker(
        commit=settings.commit or describe_commit(),
        code=fingerprint_code("models"),
        lock=fingerprint_lock(),
        python=platform.python_version(),
        system=f"{platform.system()} {platform.machine()}",
        cpu=(*vector.get("baseline", []), *vector.get("found", [])),
    )


def fingerprint_folder(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each file of the folder but the provenance, by its path in the folder."""
    files = sorted(file for file in folder.rglob("*") if file.is_file() and file.name != PROVENANCE)
    return {file.relative_to(folder).as_posix(): fingerprint_file(file) for file in files}


def fetch_version(problem: str, version: str, folder: Path, settings: Settings) -> RecordedVersion:
    """Fetch a version into the folder and check its files and tags against its record.

    Raises:
        ModelRefusedError: there is no such version, or an older platform registered it.
        DataError: a file, a tag or the record was edited; all are named.
        TransientError: the registry or its artifact store does not answer.
    """
    record = tracking.find_version(problem, version, settings)
    files = tracking.download_version(problem, version, folder, settings)
    return RecordedVersion(record, files, read_provenance(files.model_folder, record))


def read_provenance(folder: Path, record: VersionRecord) -> Provenance:
    """Read the record of a version that was downloaded into a folder, and check every file and tag against it.

    Raises:
        ModelRefusedError: the version has no record, for an older platform registered it.
        DataError: a file, a tag or the record itself was edited; all are named.
    """
    where = f"version {record.version}"
    path = folder / PROVENANCE
    if not path.is_file():
        raise ModelRefusedError(
            f"{where}: {PROVENANCE} must be among its files, but is not: an older platform registered it. Train again."
        )
    if fingerprint_file(path) != record.tags.get(PROVENANCE_TAG):
        raise DataError(
            f"{where}: {PROVENANCE} must be as it was registered, but was edited: the tag {PROVENANCE_TAG} has another "
            "fingerprint. Fetch both from a backup."
        )
    provenance = documents.read(Provenance, path)
    present = fingerprint_folder(folder)
    faults = [
        f"{name} must be as it was registered, but {'was edited' if name in present else 'is gone'}."
        for name, digits in provenance.files.items()
        if present.get(name) != digits
    ]
    tags = {f"{name}_fingerprint": digits for name, digits in provenance.fingerprints.items()}
    tags |= {"snapshot": provenance.snapshot, "features": provenance.features, "as_of": provenance.as_of}
    faults += [
        f"tag {name} must be {value}, but got {record.tags.get(name)}."
        for name, value in tags.items()
        if record.tags.get(name) != value
    ]
    raise_faults(DataError, where, faults)
    return provenance


def explain_maker(recorded: Maker, present: Maker) -> list[str]:
    """Return, in words, what differs between the code and machine of a record and those of here."""
    names = {"code": "code", "lock": "locked packages", "python": "Python", "system": "system", "cpu": "processor"}
    differing = [words for name, words in names.items() if getattr(recorded, name) != getattr(present, name)]
    if not differing:
        return []
    commit = recorded.commit.removesuffix("+changes")
    lines = [f"Made by other {', '.join(differing)}: commit {recorded.commit}, Python {recorded.python}."]
    if commit != UNKNOWN and {"code", "locked packages"} & set(differing):
        lines.append(f"For the very code: git worktree add ../tidemill-{commit} {commit}, and the same command there.")
    return lines
