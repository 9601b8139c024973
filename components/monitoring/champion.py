"""Fetch the champion from the registry, and on demand the previous one.

In: the contract and the settings. Out: `MonitoredChampion`, its files in a folder. Called by the monitor; the registry
does not change.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from components.base.adapters import mlflow as tracking
from components.base.contract.problem import Problem
from components.base.errors import ModelRefusedError, PermanentError
from components.base.settings import Settings
from components.base.times import parse_time

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class MonitoredChampion:
    """The champion, and how to fetch the previous one."""

    files: tracking.ModelFiles
    trained_as_of: datetime
    previous: str | None
    fetch_previous: Callable[[], tracking.ModelFiles | None]

    @property
    def version(self) -> str:
        """Its version in the registry."""
        return self.files.version


def fetch_monitored_champion(problem: Problem, settings: Settings, folder: Path) -> MonitoredChampion:
    """Fetch the champion's files and its tags.

    Raises:
        PermanentError: the problem has no champion.
        ModelRefusedError: its files are missing, or of an older platform.
        TransientError: the registry does not answer.
    """
    version = tracking.find_aliases(problem.name, settings).get("champion")
    if version is None:
        raise PermanentError(
            f"monitor {problem.name}: a version must be the champion, but the registry has none. "
            f"Run the training pipeline first: `make demo PROBLEM={problem.name}`."
        )
    tags = tracking.find_version(problem.name, version, settings).tags
    previous = tags.get(tracking.PREVIOUS_TAG) or None

    def fetch_previous() -> tracking.ModelFiles | None:
        """Fetch the previous champion; None when there is none, or its contract can no longer be read."""
        if previous is None:
            return None
        try:
            return tracking.download_version(problem.name, previous, folder / "previous", settings)
        except (ModelRefusedError, ValueError) as error:
            log.warning("monitor: version %s cannot be compared with: %s", previous, error)
            return None

    try:
        files = tracking.download_version(problem.name, version, folder / "champion", settings)
    except ValueError as error:
        raise ModelRefusedError(
            f"monitor {problem.name}: the contract of version {version} must be readable, but got {error}. "
            "It is of an older platform: run the training pipeline again."
        ) from error
    return MonitoredChampion(files, parse_time(tags["as_of"]), previous, fetch_previous)
