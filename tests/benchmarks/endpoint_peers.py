"""Start each server of the endpoint's benchmark on loopback, and speak its dialect.

As a program it is one of the peers: `python -m tests.benchmarks.endpoint_peers MODEL PORT` serves a pipeline with
KServe's model server in its default settings, doing what KServe's sklearnserver does.
"""

import json
import socket
import subprocess
import sys
import time
import urllib.request
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from components.serving.predictor.requests import write_v1
from tests.benchmarks.endpoint_world import World
from tests.benchmarks.environments import make_environment

_START_SECONDS = 180
# A port that was free may be taken by the time that a server binds it.
_STARTS = 3
# MLServer does not resolve beside our packages (fastapi below 0.116), so it has an environment of its own.
_MLSERVER_PINS = ("mlserver==1.7.1", "mlserver-sklearn==1.7.1", "scikit-learn==1.9.1", "pandas==2.3.3", "numpy==2.4.6")


class Server(ABC):
    """One server that answers the world's requests."""

    name: str
    path: str

    def __init__(self, world: World, folder: Path) -> None:
        """Take what to serve; `start` runs it."""
        self.world = world
        self.folder = folder
        self.port = 0
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where predictions are asked."""
        return f"http://127.0.0.1:{self.port}{self.path}"

    @abstractmethod
    def command(self) -> list[str]:
        """Return the command line that serves."""

    @abstractmethod
    def body(self, rows: slice) -> dict[str, Any]:
        """Return the request for these rows of the world."""

    @abstractmethod
    def read(self, answer: dict[str, Any]) -> list[float]:
        """Return the probabilities of an answer."""

    def start(self) -> float:
        """Start the process and return the seconds until it answered first."""
        begun = time.perf_counter()
        for _ in range(_STARTS):
            self.port = free_port()
            log = self.folder / f"{self.name.replace(' ', '-')}.log"
            with log.open("wb") as stream:
                self.process = subprocess.Popen(
                    self.command(), stdout=stream, stderr=stream, env=self.world.environ, cwd=Path.cwd()
                )
            if self._wait_for_answer(self.process):
                return time.perf_counter() - begun
            self.stop()
        raise RuntimeError(f"{self.name} must answer, but its log ends:\n{log.read_text()[-2000:]}")

    def _wait_for_answer(self, process: "subprocess.Popen[bytes]") -> bool:
        until = time.perf_counter() + _START_SECONDS
        while process.poll() is None and time.perf_counter() < until:
            try:
                self.ask(slice(0, 1))
                return True
            except OSError:
                time.sleep(0.2)
        return False

    def stop(self) -> None:
        """End the process."""
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def ask(self, rows: slice) -> np.ndarray:
        """Return the probabilities that the server answers."""
        body = json.dumps(self.body(rows)).encode()
        request = urllib.request.Request(self.url, body, {"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return np.array(self.read(json.load(answer)))


class Tidemill(Server):
    """Our predictor, which looks the features up in Feast's SQLite store."""

    name = "tidemill"
    path = "/v1/models/flight-delays:predict"

    def command(self) -> list[str]:
        options = ["--model-dir", str(self.world.model_folder), "--port", str(self.port), "--model-version", "1"]
        return [sys.executable, "-m", "components.serving.predictor", *options]

    def body(self, rows: slice) -> dict[str, Any]:
        return write_v1(self.world.requests[rows])

    def read(self, answer: dict[str, Any]) -> list[float]:
        return [prediction["probability"] for prediction in answer["predictions"]]


class KServe(Server):
    """KServe's model server as its sklearnserver uses it, asked over V2 with one tensor a column."""

    name = "kserve sklearnserver"
    path = "/v2/models/model/infer"

    def command(self) -> list[str]:
        module = "tests.benchmarks.endpoint_peers"
        return [sys.executable, "-m", module, str(self.world.estimator), str(self.port)]

    def body(self, rows: slice) -> dict[str, Any]:
        return {"parameters": {"content_type": "pd"}, "inputs": tensors(self.world.features[rows])}

    def read(self, answer: dict[str, Any]) -> list[float]:
        return answer["outputs"][0]["data"][1::2]


class MLServer(Server):
    """MLServer in its own environment; its default of one parallel worker does not start with the uvloop of today."""

    name = "mlserver"
    path = "/v2/models/model/infer"

    def command(self) -> list[str]:
        folder = self.folder / "mlserver"
        folder.mkdir(exist_ok=True)
        ports = {"http_port": self.port, "grpc_port": free_port(), "metrics_port": free_port()}
        settings = {"host": "127.0.0.1", "parallel_workers": 0, "debug": False, **ports}
        (folder / "settings.json").write_text(json.dumps(settings))
        model = {"name": "model", "implementation": "mlserver_sklearn.SKLearnModel"}
        (folder / "model-settings.json").write_text(
            json.dumps({**model, "parameters": {"uri": str(self.world.estimator.absolute())}})
        )
        return [str(make_environment("mlserver", _MLSERVER_PINS) / "bin" / "mlserver"), "start", str(folder)]

    def body(self, rows: slice) -> dict[str, Any]:
        return {
            "parameters": {"content_type": "pd"},
            "inputs": tensors(self.world.features[rows]),
            "outputs": [{"name": "predict_proba"}],
        }

    def read(self, answer: dict[str, Any]) -> list[float]:
        return answer["outputs"][0]["data"][1::2]


class MLflow(Server):
    """`mlflow models serve` in our environment."""

    name = "mlflow models serve"
    path = "/invocations"

    def command(self) -> list[str]:
        import joblib
        import mlflow.sklearn

        place = self.folder / f"mlflow-{self.port}"
        mlflow.sklearn.save_model(
            joblib.load(self.world.estimator),
            str(place),
            pip_requirements=["scikit-learn"],
            serialization_format="cloudpickle",
            pyfunc_predict_fn="predict_proba",
        )
        program = str(Path(sys.executable).with_name("mlflow"))
        where = ["--host", "127.0.0.1", "--port", str(self.port), "--workers", "1"]
        return [program, "models", "serve", "--model-uri", str(place), "--env-manager", "local", *where]

    def body(self, rows: slice) -> dict[str, Any]:
        return {"dataframe_split": self.world.features[rows].to_dict("split", index=False)}

    def read(self, answer: dict[str, Any]) -> list[float]:
        return [pair[1] for pair in answer["predictions"]]


SERVERS: tuple[type[Server], ...] = (Tidemill, KServe, MLServer, MLflow)


def tensors(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Return V2 tensors, one a column."""
    return [
        {
            "name": name,
            "shape": [len(rows), 1],
            "datatype": "BYTES" if rows[name].dtype == object else "FP64",
            "data": rows[name].tolist(),
            **({"parameters": {"content_type": "str"}} if rows[name].dtype == object else {}),
        }
        for name in rows
    ]


def free_port() -> int:
    """Return a loopback port that is free now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def serve_with_kserve(estimator: str, port: int) -> None:
    """Do what KServe's sklearnserver does, in KServe's default settings but on loopback."""
    import joblib
    import kserve
    from kserve.protocol.rest.server import RESTServer
    from kserve.utils.utils import get_predict_input, get_predict_response

    class SklearnModel(kserve.Model):
        """`sklearnserver.SKLearnModel` with PREDICT_PROBA=true."""

        def load(self) -> bool:
            self.estimator = joblib.load(estimator)
            self.ready = True
            return self.ready

        def predict(self, payload: Any, headers: dict[str, str] | None = None) -> Any:
            return get_predict_response(payload, self.estimator.predict_proba(get_predict_input(payload)), self.name)

    model = SklearnModel("model")
    model.load()
    server = kserve.ModelServer(http_port=port, enable_grpc=False)
    server.register_model(model)
    model.enable_latency_logging = server.enable_latency_logging
    rest = RESTServer("kserve.model_server:app", server.dataplane, server.model_repository_extension, port)
    with socket.create_server(("127.0.0.1", port)) as listener:
        rest.run(sockets=[listener])


if __name__ == "__main__":
    serve_with_kserve(sys.argv[1], int(sys.argv[2]))
