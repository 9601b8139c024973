"""Where endpoints run: the protocol of a place, and the choice of the place.

In: the settings. Out: a `ServingHost`. Called by `deploy` and by a rollback, which read the same in every place. Only
`open_host` and `open_cluster` read the platform. The registry is no business of a host: its alias moves after the host
has promoted.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from components.base.adapters import mlflow as tracking
from components.base.adapters.kubernetes import Kubernetes
from components.base.contract.problem import Problem
from components.base.gate import Gate
from components.base.settings import Settings
from components.serving.client import Target
from components.serving.inference_service import ServedVersion
from components.serving.kserve import KServeHost
from components.serving.local import LocalHost

_FINGERPRINT = "_fingerprint"


class ServingHost(Protocol):
    """One place where endpoints run. Every method may be called again after a crash.

    Each raises EndpointUnavailableError when the place or the predictor does not answer.
    """

    def try_candidate(
        self, candidate: ServedVersion, model_folder: Path, log_path: Path
    ) -> AbstractContextManager[Callable[[], Target]]:
        """Run a candidate beside what serves, without a request of a user, until the end of the block.

        Args:
            candidate: The version.
            model_folder: Its files on this machine; a place that fetches them by `storage_uri` does not read them.
            log_path: Where its log is left.

        Returns:
            A function that waits until the candidate answers and returns where; the caller may work before that.
        """

    def shift(self, candidate: ServedVersion, percent: int) -> Sequence[Gate]:
        """Give a candidate a share of the requests, and return what it had to pass there."""

    def live(self, endpoint: str) -> Mapping[str, int]:
        """Return the share of the requests in percent, by version that answers them: what is, not what was ordered."""

    def promote(self, candidate: ServedVersion) -> None:
        """Give a version all requests, and return when it answers them."""

    def withdraw(self, candidate: ServedVersion, champion: ServedVersion | None) -> None:
        """Take a candidate's share away; the champion, if there is one, serves all requests again."""


def open_host(settings: Settings) -> ServingHost:
    """Choose the place by TIDEMILL_PLATFORM."""
    return LocalHost(settings) if settings.platform == "local" else KServeHost(settings)


def open_cluster(settings: Settings) -> Kubernetes | None:
    """Return the namespace of a cluster that holds services and endpoints; None on one machine."""
    return None if settings.platform == "local" else Kubernetes(settings.endpoint_namespace)


def read_served_version(problem: Problem, version: str, settings: Settings) -> ServedVersion:
    """Read a version of the registry as a host serves it.

    Raises:
        ModelRefusedError: there is no such version.
        TransientError: the registry does not answer.
    """
    found = tracking.find_version(problem.name, version, settings)
    fingerprints = {
        name.removesuffix(_FINGERPRINT): digits for name, digits in found.tags.items() if name.endswith(_FINGERPRINT)
    }
    return ServedVersion(problem, version, found.storage_uri, fingerprints)
