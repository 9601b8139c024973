"""What is written to the tracking server for one release, and what is read from it: plain records without any SDK."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.base.contract.problem import Problem

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class ReleaseRecord:
    """What is written about one release."""

    problem: str
    key: str
    """Names the release: registering the same key again changes nothing."""
    estimator: Any
    trusted_types: Sequence[str]
    """Types that skops may load beside scikit-learn's own."""
    example: "pd.DataFrame"
    """A few rows of the model's inputs: the input example, and by their types the signature."""
    files: Path
    """A folder, whose files are stored beside MLmodel; its `model.skops` is the very file that refit wrote."""
    parameters: Mapping[str, Any]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]
    is_versioned: bool
    """False: a run only. A refused model gets no version, so that no `latest` ever finds it."""


@dataclass(frozen=True)
class Registered:
    """Where a release was recorded."""

    version: str | None
    run_id: str
    storage_uri: str
    """The folder of the logged model: `s3://…`, or `file://…` without an object store."""


@dataclass(frozen=True)
class VersionRecord:
    """What the registry knows of one version."""

    version: str
    storage_uri: str
    tags: Mapping[str, str]


@dataclass(frozen=True)
class ModelFiles:
    """One version of the registry, on this machine."""

    version: str
    model_folder: Path
    ledger_path: Path
    problem: Problem
    """The contract that the version was trained under."""
    storage_uri: str
