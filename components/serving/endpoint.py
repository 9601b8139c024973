"""Serve the champion on this machine: `make serve`.

In: a problem's name and the settings. Out: a running `ChampionEndpoint`. Called by commands and by the simulation. The
registry decides which version that is; the record of this machine follows it.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.base.adapters import mlflow as tracking
from components.base.child_process import OwnedProcess
from components.base.errors import ModelRefusedError
from components.base.settings import Settings
from components.base.tables import read_table
from components.serving.host import read_served_version
from components.serving.local import LocalHost
from components.serving.predictor.requests import RequestSchema, request_rows, write_v1
from components.serving.predictor_process import Launch, PredictorProcess


@dataclass(frozen=True)
class ChampionEndpoint:
    """A running endpoint of the champion."""

    name: str
    version: str
    url: str
    example: dict[str, Any]
    """One request row that it answers."""
    process: OwnedProcess


@contextmanager
def start_endpoint(problem_name: str, settings: Settings, port: int = 0) -> Iterator[ChampionEndpoint]:
    """Serve the champion of the registry until the end of the block.

    Raises:
        ModelRefusedError: there is no champion.
        EndpointUnavailableError: the predictor did not become ready.
        TransientError: the registry or its artifact store does not answer.
    """
    with tempfile.TemporaryDirectory() as folder:
        files = tracking.download_champion(problem_name, Path(folder), settings)
        if files is None:
            raise ModelRefusedError(
                f"endpoint {problem_name}: a champion must exist, but the registry has none. Run `make demo` first."
            )
        name = files.problem.serving.endpoint
        launch = Launch(files.model_folder, files.version, name, settings.home / "endpoints" / f"{name}.log", port)
        with PredictorProcess(launch, settings) as predictor:
            url = predictor.wait_ready()
            LocalHost(settings).promote(read_served_version(files.problem, files.version, settings))
            # Unlike an invented row, one of the test period is known to the online store.
            golden = read_table(files.model_folder / "golden.parquet").tail(1)
            example = write_v1(request_rows(RequestSchema.of(files.problem), golden))["instances"][0]
            yield ChampionEndpoint(name, files.version, url, example, predictor.process)
