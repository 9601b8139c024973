"""Record releases in MLflow, move the registry's aliases, fetch models back: the only module that imports mlflow.

In: plain values (a fitted estimator, a folder of files, dictionaries). Out: `Registered` and `ModelFiles`. Called by
`evaluate` (the champion), `register` and `deploy`.

One experiment and one registered model a problem, both named after it. A release is one run with one logged model,
which holds all that serving needs. The order keeps half a release invisible: files, then the version, then the run's
end, then the alias. What a crash leaves behind has no alias and is removed when the same release is recorded again.
"""

import logging
import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from components.base.adapters.mlflow_environment import artifact_place, check_database, mlflow_environment, unavailable
from components.base.adapters.mlflow_records import ModelFiles, Registered, ReleaseRecord, VersionRecord
from components.base.contract.load import read_problem
from components.base.errors import ModelRefusedError, PermanentError, TidemillError
from components.base.settings import Settings

if TYPE_CHECKING:
    from mlflow import MlflowClient

__all__ = [
    "ModelFiles",
    "Registered",
    "ReleaseRecord",
    "VersionRecord",
    "challenge",
    "download_champion",
    "download_version",
    "find_aliases",
    "find_previous_champion",
    "find_version",
    "log_release",
    "note_promotion",
    "promote",
    "rollback",
    "withdraw",
]

_KEY_TAG = "release_key"
_RUN_TAG = "kfp_run_id"
PREVIOUS_TAG = "previous_champion"
# MLflow refuses tags beyond 8,000 characters; the whole text is in evaluation.json.
_TAG_CHARACTERS = 5000
# The SDKs whose errors an unreachable artifact store raises; MLflow passes them on unchanged.
_ARTIFACT_SDKS = {"boto3", "botocore", "s3transfer", "urllib3", "requests"}


def log_release(record: ReleaseRecord, settings: Settings) -> Registered:
    """Record a release, once per key.

    Raises:
        TransientError: MLflow, its database or its artifact store does not answer.
    """
    with _client(settings, f"register {record.problem}") as client:
        found = client.get_experiment_by_name(record.problem)
        place = artifact_place(record.problem, settings)
        experiment = found.experiment_id if found else client.create_experiment(record.problem, artifact_location=place)
        for run in client.search_runs([experiment], filter_string=f"tags.{_KEY_TAG} = '{record.key}'"):
            run_id = run.info.run_id
            versions = [str(found.version) for found in client.search_model_versions(f"run_id = '{run_id}'")]
            if run.info.status == "FINISHED":
                # The run that goes on with it is the one that is asked for its outcome.
                for version in versions[:1]:
                    client.set_model_version_tag(record.problem, version, _RUN_TAG, record.tags.get(_RUN_TAG, ""))
                return Registered(versions[0] if versions else None, run_id, run.data.tags["storage_uri"])
            # What a crash left: no alias names it.
            for version in versions:
                client.delete_model_version(record.problem, version)
            client.delete_run(run_id)
        return _log(client, str(experiment), record)


def challenge(problem: str, version: str, settings: Settings) -> None:
    """Give the version the alias `challenger`, with the errors of `promote`."""
    with _client(settings, f"registry {problem}") as client:
        client.set_registered_model_alias(problem, "challenger", version)


def find_aliases(problem: str, settings: Settings) -> dict[str, str]:
    """Return the version by alias; empty for a problem without any."""
    with _client(settings, f"registry {problem}") as client:
        return _aliases(client, problem)


def find_version(problem: str, version: str, settings: Settings) -> VersionRecord:
    """Return where a version is stored and how it is tagged, with the errors of `promote`."""
    with _client(settings, f"registry {problem}") as client:
        storage_uri = client.get_model_version_download_uri(problem, version)
        return VersionRecord(version, storage_uri, dict(client.get_model_version(problem, version).tags))


def promote(problem: str, version: str, settings: Settings) -> str | None:
    """Make the version the champion and return the one before it, also when called again.

    Raises:
        ModelRefusedError: there is no such version.
        TransientError: the registry does not answer.
    """
    with _client(settings, f"promote {problem}") as client:
        aliases = _aliases(client, problem)
        if aliases.get("champion") != version:
            client.set_model_version_tag(problem, version, PREVIOUS_TAG, aliases.get("champion", ""))
            client.set_registered_model_alias(problem, "champion", version)
        if aliases.get("challenger") == version:
            client.delete_registered_model_alias(problem, "challenger")
        return _previous(client, problem, version)


def note_promotion(problem: str, version: str, by: str, reason: str, settings: Settings) -> None:
    """Note with a version who promotes it by hand, and why, with the errors of `promote`."""
    with _client(settings, f"promote {problem}") as client:
        client.set_model_version_tag(problem, version, "promoted_by", by)
        client.set_model_version_tag(problem, version, "promotion_reason", _tag_text(reason))


def withdraw(problem: str, version: str, reasons: Sequence[str], settings: Settings) -> None:
    """Take the alias `challenger` from a version that did not prove itself, and note the reasons."""
    with _client(settings, f"withdraw {problem}") as client:
        client.set_model_version_tag(problem, version, "deployment", "refused")
        client.set_model_version_tag(problem, version, "deployment_reasons", _tag_text(" ".join(reasons)))
        if _aliases(client, problem).get("challenger") == version:
            client.delete_registered_model_alias(problem, "challenger")


def find_previous_champion(problem: str, settings: Settings) -> str:
    """Return the version that was the champion before the present one, with the errors of `rollback`."""
    with _client(settings, f"rollback {problem}") as client:
        return _last_champions(client, problem)[1]


def rollback(problem: str, reason: str, settings: Settings) -> str:
    """Give the alias `champion` back to the version before, and return that version.

    Raises:
        ModelRefusedError: there is no champion, or none before it.
        TransientError: the registry does not answer.
    """
    with _client(settings, f"rollback {problem}") as client:
        current, previous = _last_champions(client, problem)
        client.set_model_version_tag(problem, current, "rolled_back", _tag_text(reason))
        client.set_registered_model_alias(problem, "champion", previous)
        return previous


def download_champion(problem_name: str, folder: Path, settings: Settings) -> ModelFiles | None:
    """Fetch the champion into `folder`, with the errors of `download_version`; None when there is none."""
    version = find_aliases(problem_name, settings).get("champion")
    return download_version(problem_name, version, folder, settings) if version else None


def download_version(problem_name: str, version: str, folder: Path, settings: Settings) -> ModelFiles:
    """Fetch one version into `folder`, with the errors of `promote`."""
    with _client(settings, f"download {problem_name} version {version}") as client:
        from mlflow.artifacts import download_artifacts

        storage_uri = client.get_model_version_download_uri(problem_name, version)
        folder.mkdir(parents=True, exist_ok=True)
        downloaded = download_artifacts(
            artifact_uri=storage_uri, dst_path=str(folder), tracking_uri=settings.mlflow_uri
        )
    model_folder = Path(downloaded)
    return ModelFiles(
        version=str(version),
        model_folder=model_folder,
        ledger_path=model_folder / "ledger.parquet",
        problem=read_problem(model_folder / "problem.json"),
        storage_uri=storage_uri,
    )


@contextmanager
def _client(settings: Settings, where: str) -> Iterator["MlflowClient"]:
    """Open MLflow without its log, and turn its errors into the platform's."""
    check_database(settings.mlflow_uri, where)
    with mlflow_environment(settings), warnings.catch_warnings():
        # MLflow calls SQLAlchemy, pandas and skops in ways that they deprecate; nothing here can change that.
        warnings.simplefilter("ignore")
        try:
            import mlflow

            for name in ("mlflow", "alembic"):
                logging.getLogger(name).setLevel(logging.ERROR)
            mlflow.set_tracking_uri(settings.mlflow_uri)
            yield mlflow.MlflowClient(settings.mlflow_uri)
        except Exception as error:
            fault = _fault(error, settings, where)
            if fault is None:
                raise
            raise fault from error


def _fault(error: Exception, settings: Settings, where: str) -> TidemillError | None:
    """Choose the error to raise for one of MLflow or its artifact store; None for any other."""
    from mlflow.exceptions import MlflowException

    if type(error).__module__.split(".")[0] in _ARTIFACT_SDKS:
        return unavailable(where, settings, error)
    if not isinstance(error, MlflowException):
        return None
    if error.error_code == "RESOURCE_DOES_NOT_EXIST":
        return ModelRefusedError(f"{where}: it must be in the registry, but got: {error} Look with `make ui`.")
    if error.error_code in ("INTERNAL_ERROR", "TEMPORARILY_UNAVAILABLE"):
        return unavailable(where, settings, error)
    return PermanentError(f"{where}: MLflow must accept it, but got: {error}")


def _log(client: "MlflowClient", experiment: str, record: ReleaseRecord) -> Registered:
    import mlflow
    from mlflow.exceptions import MlflowException

    with mlflow.start_run(experiment_id=experiment, tags={_KEY_TAG: record.key, **_tags(record)}) as run:
        run_id = str(run.info.run_id)
        mlflow.log_params({name: str(value) for name, value in record.parameters.items()})
        mlflow.log_metrics({name: value for name, value in record.metrics.items() if math.isfinite(value)})
        model_id = _log_model(record)
        client.log_model_artifacts(model_id, str(record.files))
        storage_uri = str(client.get_logged_model(model_id).artifact_location)
        client.set_tag(run_id, "storage_uri", storage_uri)
        if not record.is_versioned:
            return Registered(None, run_id, storage_uri)
        try:
            client.create_registered_model(record.problem)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        # A server over HTTP refuses a model's source without its id; MLflow on a database alone does not.
        created = client.create_model_version(
            record.problem, f"models:/{model_id}", run_id, tags=_tags(record), model_id=model_id
        )
    return Registered(str(created.version), run_id, storage_uri)


def _log_model(record: ReleaseRecord) -> str:
    import mlflow.sklearn
    import numpy as np
    from mlflow.models import ModelSignature
    from mlflow.types.schema import ColSpec, Schema, TensorSpec
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    # MLflow's own inference of the signature fails on a column without any value in the example.
    kinds = {name: "string" if column.dtype == object else "double" for name, column in record.example.items()}
    inputs = Schema([ColSpec(kind, str(name), required=False) for name, kind in kinds.items()])
    # MLflow predicts the example: on a few rows, threads only wait for each other, once a tree.
    with threadpool_limits(limits=1):
        logged = mlflow.sklearn.log_model(
            record.estimator,
            name="model",
            serialization_format="skops",
            skops_trusted_types=list(record.trusted_types),
            signature=ModelSignature(inputs, Schema([TensorSpec(np.dtype("float64"), (-1, 2))])),
            input_example=record.example,
            pyfunc_predict_fn="predict_proba",
            # Without it MLflow starts a process that imports the model to guess them.
            pip_requirements=mlflow.sklearn.get_default_pip_requirements(include_skops=True),
        )
    return str(logged.model_id)


def _aliases(client: "MlflowClient", problem: str) -> dict[str, str]:
    found = client.search_registered_models(filter_string=f"name = '{problem}'")
    return {alias: str(version) for model in found for alias, version in model.aliases.items()}


def _previous(client: "MlflowClient", problem: str, version: str) -> str | None:
    return client.get_model_version(problem, version).tags.get(PREVIOUS_TAG) or None


def _last_champions(client: "MlflowClient", problem: str) -> tuple[str, str]:
    """Return the champion and the one before it."""
    current = _aliases(client, problem).get("champion")
    previous = _previous(client, problem, current) if current else None
    if current is None or previous is None:
        raise ModelRefusedError(
            f"rollback {problem}: a champion before the present one must exist, but got champion={current}, "
            "previous=None. Train another model: `make demo`."
        )
    return current, previous


def _tags(record: ReleaseRecord) -> dict[str, str]:
    return {name: _tag_text(text) for name, text in record.tags.items()}


def _tag_text(text: str) -> str:
    return text if len(text) <= _TAG_CHARACTERS else text[: _TAG_CHARACTERS - 1] + "…"
