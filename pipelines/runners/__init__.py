"""Where pipelines run: `open_runner` is the one place that knows whether this is one machine or a cluster."""

import os

from components.base.runner import Runner
from components.base.settings import Settings


def open_runner(settings: Settings) -> Runner:
    """Return the runner of TIDEMILL_PLATFORM.

    Raises:
        SettingsError: a cluster needs TIDEMILL_IMAGE, and there is none.
    """
    if settings.platform == "kubernetes":
        from pipelines.runners.kubeflow import KubeflowRunner, read_reasons, read_registry

        return KubeflowRunner(settings, read_registry(settings), read_reasons(settings))
    from pipelines.runners.local import LocalRunner

    return LocalRunner(settings.home, os.environ)
