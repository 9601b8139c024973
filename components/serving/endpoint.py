"""Serve the champion, or another version aside, on this machine: `make serve`.

In: a problem's name and the settings. Out: a running `Endpoint`. Called by commands and by the simulation. The registry
decides which version the champion is, and the record of this machine follows it; a version aside is recorded nowhere.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.base.adapters import mlflow as tracking
from components.base.child_process import OwnedProcess
from components.base.errors import ModelRefusedError
from components.base.home_lock import hold_alone
from components.base.settings import Settings
from components.base.tables import read_table
from components.serving.host import read_served_version
from components.serving.local import LocalHost
from components.serving.predictor.requests import RequestSchema, request_rows, write_v1
from components.serving.predictor_process import Launch, PredictorProcess


@dataclass(frozen=True)
class Endpoint:
    """A running endpoint of one version."""

    name: str
    version: str
    url: str
    example: dict[str, Any]
    """One request row that it answers."""
    process: OwnedProcess


@contextmanager
def start_endpoint(
    problem_name: str, settings: Settings, port: int = 0, version: str | None = None
) -> Iterator[Endpoint]:
    """Serve a version of the registry until the end of the block.

    Args:
        problem_name: Name of the problem.
        settings: Name registry and stores.
        port: 0 takes a free one.
        version: None is the champion. Another one is served aside: its predictions are not logged, for nobody acts on
            them.

    Raises:
        ModelRefusedError: there is no champion, or no such version.
        PermanentError: the champion is served already.
        EndpointUnavailableError: the predictor did not become ready.
        TransientError: the registry or its artifact store does not answer.
    """
    with tempfile.TemporaryDirectory() as folder:
        champion = tracking.find_aliases(problem_name, settings).get("champion")
        chosen = version or champion
        if chosen is None:
            raise ModelRefusedError(
                f"endpoint {problem_name}: a champion must exist, but the registry has none. Run `make demo` first, or "
                "name a version that was held."
            )
        files = tracking.download_version(problem_name, chosen, Path(folder), settings)
        name, is_champion = files.problem.serving.endpoint, chosen == champion
        log_path = settings.home / "endpoints" / f"{name}.log"
        launch = Launch(files.model_folder, chosen, name, log_path, port, logs_predictions=is_champion)
        alone = hold_alone(settings.home, f"endpoint {name}") if is_champion else nullcontext()
        with alone, PredictorProcess(launch, settings) as predictor:
            url = predictor.wait_ready()
            if is_champion:
                LocalHost(settings).promote(read_served_version(files.problem, chosen, settings))
            # Unlike an invented row, one of the test period is known to the online store.
            golden = read_table(files.model_folder / "golden.parquet").tail(1)
            example = write_v1(request_rows(RequestSchema.of(files.problem), golden))["instances"][0]
            yield Endpoint(name, chosen, url, example, predictor.process)
