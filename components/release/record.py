"""The record of one release, as `register` writes it and `deploy` and `present` read it.

Layout of the folder
    release.json     the fields of `Release`
    golden.parquet   the rows that `deploy` replays: request columns, and the features that training saw for them
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from components.base.tables import fingerprint_files

Verdict = Literal["promote", "hold", "refuse"]


@dataclass(frozen=True)
class Release:
    """One model of one run, with what became of it in the registry."""

    problem: str
    verdict: Verdict
    """As `evaluate` said: promote may be deployed; hold is sound, but not surely better; refuse broke a gate."""
    reasons: tuple[str, ...]
    version: str | None
    """In the registry; None for a refused model, which is recorded as a run only."""
    aliases: tuple[str, ...]
    """Held by this version after registration."""
    champion: str | None
    """The version in charge when this one was registered."""
    run_id: str
    mlflow_run: str
    model_uri: str | None
    """`models:/<problem>/<version>`."""
    storage_uri: str
    """The folder with model.skops, model.json and what else serving needs."""
    as_of: str
    family: str
    kind: str
    feature_service: str
    fingerprints: Mapping[str, str]
    """SHA-256 in hexadecimal of `contract`, `snapshot`, `features`, `prepared` and `model`."""
    golden_rows: int
    registered_at: str
    compared_with: str | None = None
    """The champion's version that `evaluate` compared this model with; None when there was none."""


def write_release(folder: Path | str, release: Release) -> None:
    """Write `release.json` into the folder."""
    (Path(folder) / "release.json").write_text(json.dumps(asdict(release), indent=1))


def read_release(folder: Path | str) -> Release:
    """Read `release.json` of the folder."""
    described = json.loads((Path(folder) / "release.json").read_text())
    for name in ("reasons", "aliases"):
        described[name] = tuple(described[name])
    return Release(**described)


def fingerprint_model(folder: Path | str) -> str:
    """Return the SHA-256 over `model.skops` and `model.json`: the same digits mean the same predictions."""
    return fingerprint_files(Path(folder) / name for name in ("model.skops", "model.json"))
