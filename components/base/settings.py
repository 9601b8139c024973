"""Where things are: the environment variables TIDEMILL_*, read and checked once.

In comes the environment, out goes a frozen `Settings`; every other module is given it and never looks at
the environment. Called by the main programs and by the adapters in a step's process; `child_environment`
writes what such a process needs. Nothing is created on disk here.
"""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from components.base.errors import SettingsError, raise_faults, suggest_name

_PREFIX = "TIDEMILL_"
# Amazon's rule for bucket names, without the dots that break TLS on virtual hosts.
_BUCKET_NAME = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")
_WHOLE, _NUMBER = re.compile(r"\d{1,15}"), re.compile(r"\d{1,9}(\.\d{1,9})?")
_SQLITE_PREFIX = "sqlite:///"
_ROOT = Path(__file__).parents[2]
_MLFLOW_SCHEMES = ("sqlite", "postgresql", "mysql", "http", "https")
_GOVERNOR_SCHEMES = ("sqlite", "postgresql")


@dataclass(frozen=True)
class S3Endpoint:
    """One S3 service and how to sign requests to it."""

    url: str
    """`http(s)://host[:port]`, without a path."""
    access_key: str | None = None
    """None: boto3 finds the credentials itself (a Kubernetes service account, an instance profile)."""
    secret_key: str | None = field(default=None, repr=False)
    """Never shown in a log or a traceback."""
    region: str = "us-east-1"
    """The region that signatures name; SeaweedFS and MinIO take any."""


@dataclass(frozen=True)
class PredictionLogSettings:
    """How a predictor keeps the log of its predictions; what is logged, the contract says."""

    is_on: bool = True
    """TIDEMILL_PREDICTION_LOG: `off` logs nothing."""
    spool: Path | None = None
    """TIDEMILL_PREDICTION_LOG_SPOOL: absolute; None is <home>/spool."""
    segment_seconds: float = 300
    """TIDEMILL_PREDICTION_LOG_SEGMENT_SECONDS: rows reach the object store so late; 288 objects a day read fast."""
    segment_bytes: int = 16 * 2**20
    """TIDEMILL_PREDICTION_LOG_SEGMENT_BYTES: a fuller segment is uploaded at once; converting it takes seven times as
    much memory."""
    spool_bytes: int = 2**30
    """TIDEMILL_PREDICTION_LOG_SPOOL_BYTES: more is dropped; some two million rows, six hours at 100 a second."""


@dataclass(frozen=True)
class GovernorSettings:
    """Where the governor keeps its decisions, and the files of its secrets; it refuses what it has no secret for."""

    database: str | None = field(default=None, repr=False)
    """TIDEMILL_GOVERNOR_DATABASE: a SQLAlchemy URL (sqlite, postgresql+psycopg); None is <home>/governor.db."""
    token_file: Path | None = None
    """TIDEMILL_GOVERNOR_TOKEN_FILE: the bearer token of Alertmanager and of persons; a Kubernetes Secret's file."""
    hmac_file: Path | None = None
    """TIDEMILL_GOVERNOR_HMAC_FILE: the secret that Grafana signs with."""
    launcher: str = "local"
    """TIDEMILL_GOVERNOR_LAUNCHER: `local` runs on this machine, `kfp` on Kubeflow Pipelines."""


@dataclass(frozen=True)
class Settings:
    """Where one installation keeps its state and finds its services."""

    home: Path
    """TIDEMILL_HOME: absolute; runs, reports and the embedded services' data."""
    bucket: str
    """TIDEMILL_BUCKET: the bucket that holds snapshots, features and models."""
    s3: S3Endpoint | None
    """TIDEMILL_S3_*: None means that the run starts the embedded SeaweedFS."""
    mlflow_uri: str
    """TIDEMILL_MLFLOW_URI: tracking and registry; a SQLite path in it is absolute."""
    registry: str
    """TIDEMILL_REGISTRY: Feast's registry, an absolute path or a URL."""
    online_store: Path
    """TIDEMILL_ONLINE_STORE: absolute path of Feast's SQLite online store."""
    image: str | None
    """TIDEMILL_IMAGE: the image of steps and predictor on a cluster; None on one machine."""
    endpoint_namespace: str
    """TIDEMILL_ENDPOINT_NAMESPACE: the Kubernetes namespace of InferenceServices."""
    problems: Path = _ROOT / "pipelines" / "problems"
    """TIDEMILL_PROBLEMS: absolute path of the folder that holds the contracts."""
    clock: Path | None = None
    """TIDEMILL_CLOCK: absolute path of the file that holds the moment to live at; None is the wall clock."""
    prediction_log: PredictionLogSettings = PredictionLogSettings()
    """TIDEMILL_PREDICTION_LOG*."""
    governor: GovernorSettings = GovernorSettings()
    """TIDEMILL_GOVERNOR_*."""

    @property
    def governor_database(self) -> str:
        """The URL of the governor's database."""
        return self.governor.database or f"{_SQLITE_PREFIX}{self.home}/governor.db"

    @property
    def prediction_spool(self) -> Path:
        """Where a predictor keeps logged predictions until the object store has them."""
        return self.prediction_log.spool or self.home / "spool"

    @property
    def object_store_folder(self) -> Path:
        """Where the embedded object store keeps its data, credentials and log."""
        return self.home / "object-store"

    def child_environment(self, endpoint: S3Endpoint) -> dict[str, str]:
        """Return every variable that a step's process needs beside the caller's own environment."""
        credentials = {"S3_ACCESS_KEY": endpoint.access_key, "S3_SECRET_KEY": endpoint.secret_key}
        environment = {
            "TIDEMILL_HOME": str(self.home),
            "TIDEMILL_BUCKET": self.bucket,
            "TIDEMILL_S3_ENDPOINT": endpoint.url,
            "TIDEMILL_S3_REGION": endpoint.region,
            "TIDEMILL_MLFLOW_URI": self.mlflow_uri,
            "TIDEMILL_REGISTRY": self.registry,
            "TIDEMILL_ONLINE_STORE": str(self.online_store),
            "TIDEMILL_ENDPOINT_NAMESPACE": self.endpoint_namespace,
            "TIDEMILL_PROBLEMS": str(self.problems),
            "TIDEMILL_PREDICTION_LOG": "on" if self.prediction_log.is_on else "off",
            "TIDEMILL_PREDICTION_LOG_SPOOL": str(self.prediction_spool),
            **{name: str(getattr(self.prediction_log, limit)) for name, limit in _LOG_LIMITS.items()},
            "AWS_ENDPOINT_URL_S3": endpoint.url,
            "AWS_DEFAULT_REGION": endpoint.region,
            "MLFLOW_S3_ENDPOINT_URL": endpoint.url,
            "MLFLOW_TRACKING_URI": self.mlflow_uri,
        }
        for name, value in {**credentials, "IMAGE": self.image, "CLOCK": self.clock}.items():
            if value is not None:
                environment[f"TIDEMILL_{name}"] = str(value)
        if endpoint.access_key and endpoint.secret_key:
            environment["AWS_ACCESS_KEY_ID"] = endpoint.access_key
            environment["AWS_SECRET_ACCESS_KEY"] = endpoint.secret_key
            # Without it botocore asks 169.254.169.254 for credentials, which hangs outside AWS.
            environment["AWS_EC2_METADATA_DISABLED"] = "true"
        return environment


_LOG_LIMITS = {
    "TIDEMILL_PREDICTION_LOG_SEGMENT_SECONDS": "segment_seconds",
    "TIDEMILL_PREDICTION_LOG_SEGMENT_BYTES": "segment_bytes",
    "TIDEMILL_PREDICTION_LOG_SPOOL_BYTES": "spool_bytes",
}
_KNOWN = (
    "TIDEMILL_HOME",
    "TIDEMILL_BUCKET",
    "TIDEMILL_S3_ENDPOINT",
    "TIDEMILL_S3_ACCESS_KEY",
    "TIDEMILL_S3_SECRET_KEY",
    "TIDEMILL_S3_REGION",
    "TIDEMILL_MLFLOW_URI",
    "TIDEMILL_REGISTRY",
    "TIDEMILL_ONLINE_STORE",
    "TIDEMILL_IMAGE",
    "TIDEMILL_ENDPOINT_NAMESPACE",
    "TIDEMILL_PROBLEMS",
    "TIDEMILL_CLOCK",
    "TIDEMILL_PREDICTION_LOG",
    "TIDEMILL_PREDICTION_LOG_SPOOL",
    *_LOG_LIMITS,
    "TIDEMILL_GOVERNOR_DATABASE",
    "TIDEMILL_GOVERNOR_TOKEN_FILE",
    "TIDEMILL_GOVERNOR_HMAC_FILE",
    "TIDEMILL_GOVERNOR_LAUNCHER",
    # Read by feature_repo/feature_store.yaml when `feast` runs on the command line.
    "TIDEMILL_FEATURES",
)


def load_settings(environ: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings; an empty variable counts as unset.

    Raises:
        SettingsError: with all faults at once, when a TIDEMILL_* variable is unknown or has a wrong value.
    """
    given = {name: value for name, value in environ.items() if name.startswith(_PREFIX) and value}
    raise_faults(SettingsError, "settings", _faults(given))
    home = _absolute(given.get("TIDEMILL_HOME", ".tidemill"))
    return Settings(
        home=home,
        bucket=given.get("TIDEMILL_BUCKET", "tidemill"),
        s3=_s3_endpoint(given),
        mlflow_uri=_absolute_sqlite(given.get("TIDEMILL_MLFLOW_URI", f"{_SQLITE_PREFIX}{home}/mlflow.db")),
        registry=_absolute_or_url(given.get("TIDEMILL_REGISTRY", str(home / "feast" / "registry.db"))),
        online_store=_absolute(given.get("TIDEMILL_ONLINE_STORE", str(home / "feast" / "online.db"))),
        image=given.get("TIDEMILL_IMAGE"),
        endpoint_namespace=given.get("TIDEMILL_ENDPOINT_NAMESPACE", "tidemill"),
        problems=_absolute(given.get("TIDEMILL_PROBLEMS", str(Settings.problems))),
        clock=_absolute(given["TIDEMILL_CLOCK"]) if "TIDEMILL_CLOCK" in given else None,
        prediction_log=_prediction_log(given),
        governor=_governor(given),
    )


def _prediction_log(given: Mapping[str, str]) -> PredictionLogSettings:
    limits = {limit: given[name] for name, limit in _LOG_LIMITS.items() if name in given}
    spool = given.get("TIDEMILL_PREDICTION_LOG_SPOOL")
    return PredictionLogSettings(
        is_on=given.get("TIDEMILL_PREDICTION_LOG", "on") == "on",
        spool=_absolute(spool) if spool else None,
        segment_seconds=float(limits.get("segment_seconds", PredictionLogSettings.segment_seconds)),
        segment_bytes=int(limits.get("segment_bytes", PredictionLogSettings.segment_bytes)),
        spool_bytes=int(limits.get("spool_bytes", PredictionLogSettings.spool_bytes)),
    )


def _governor(given: Mapping[str, str]) -> GovernorSettings:
    database, token, secret = (given.get(f"TIDEMILL_GOVERNOR_{n}") for n in ("DATABASE", "TOKEN_FILE", "HMAC_FILE"))
    return GovernorSettings(
        database=_absolute_sqlite(database) if database else None,
        token_file=_absolute(token) if token else None,
        hmac_file=_absolute(secret) if secret else None,
        launcher=given.get("TIDEMILL_GOVERNOR_LAUNCHER", GovernorSettings.launcher),
    )


def _s3_endpoint(given: Mapping[str, str]) -> S3Endpoint | None:
    if "TIDEMILL_S3_ENDPOINT" not in given:
        return None
    return S3Endpoint(
        url=given["TIDEMILL_S3_ENDPOINT"].rstrip("/"),
        access_key=given.get("TIDEMILL_S3_ACCESS_KEY"),
        secret_key=given.get("TIDEMILL_S3_SECRET_KEY"),
        region=given.get("TIDEMILL_S3_REGION", S3Endpoint.region),
    )


def _faults(given: Mapping[str, str]) -> Iterator[str]:
    for name in sorted(set(given) - set(_KNOWN)):
        yield f"{name} must be one of the known variables, but it is not.{suggest_name(name, _KNOWN)}"
    yield from _place_faults(given)
    yield from _s3_faults(given)
    yield from _prediction_log_faults(given)
    yield from _governor_faults(given)


def _place_faults(given: Mapping[str, str]) -> Iterator[str]:
    bucket = given.get("TIDEMILL_BUCKET", "tidemill")
    if not _BUCKET_NAME.fullmatch(bucket):
        yield f"TIDEMILL_BUCKET must be 3 to 63 of a-z, 0-9 and inner hyphens, but got {bucket!r}."
    for name in ("TIDEMILL_HOME", "TIDEMILL_ONLINE_STORE", "TIDEMILL_PREDICTION_LOG_SPOOL"):
        if "://" in given.get(name, ""):
            yield f"{name} must be a path on this machine, but got {given[name]!r}."
    uri = given.get("TIDEMILL_MLFLOW_URI", _SQLITE_PREFIX)
    if uri.split(":")[0].split("+")[0] not in _MLFLOW_SCHEMES:
        yield f"TIDEMILL_MLFLOW_URI must start with one of {', '.join(_MLFLOW_SCHEMES)}, but got {uri!r}."


def _prediction_log_faults(given: Mapping[str, str]) -> Iterator[str]:
    state = given.get("TIDEMILL_PREDICTION_LOG", "on")
    if state not in ("on", "off"):
        yield f"TIDEMILL_PREDICTION_LOG must be on or off, but got {state!r}."
    for name, limit in _LOG_LIMITS.items():
        pattern, words = (_NUMBER, "number") if limit == "segment_seconds" else (_WHOLE, "whole number")
        if name in given and not (pattern.fullmatch(given[name]) and float(given[name]) > 0):
            yield f"{name} must be a {words} above 0, but got {given[name]!r}."


def _governor_faults(given: Mapping[str, str]) -> Iterator[str]:
    scheme = given.get("TIDEMILL_GOVERNOR_DATABASE", _SQLITE_PREFIX).split(":")[0].split("+")[0]
    if scheme not in _GOVERNOR_SCHEMES:
        # Never the URL itself: it holds a password.
        yield f"TIDEMILL_GOVERNOR_DATABASE must start with one of {', '.join(_GOVERNOR_SCHEMES)}, but got {scheme!r}."
    launcher = given.get("TIDEMILL_GOVERNOR_LAUNCHER", "local")
    if launcher not in ("local", "kfp"):
        yield f"TIDEMILL_GOVERNOR_LAUNCHER must be local or kfp, but got {launcher!r}."


def _s3_faults(given: Mapping[str, str]) -> Iterator[str]:
    keys = {name for name in ("TIDEMILL_S3_ACCESS_KEY", "TIDEMILL_S3_SECRET_KEY") if name in given}
    if len(keys) == 1:
        yield f"TIDEMILL_S3_ACCESS_KEY and TIDEMILL_S3_SECRET_KEY must both be set, but one is: {min(keys)}."
    endpoint = given.get("TIDEMILL_S3_ENDPOINT")
    if endpoint is None:
        stray = sorted(name for name in given if name.startswith("TIDEMILL_S3_") and name in _KNOWN)
        if stray:
            yield f"TIDEMILL_S3_ENDPOINT must be set when {', '.join(stray)} is. Set it, or unset the others."
    elif not _is_service_root(endpoint):
        yield f"TIDEMILL_S3_ENDPOINT must be http(s)://host[:port] without a path, but got {endpoint!r}."


def _is_service_root(url: str) -> bool:
    try:
        parts = urlsplit(url)
        port_is_valid = parts.port is None or parts.port > 0
    except ValueError:
        return False
    bare = parts.path in ("", "/") and not (parts.query or parts.fragment or parts.username)
    return parts.scheme in ("http", "https") and bool(parts.hostname) and port_is_valid and bare


def _absolute(path: str) -> Path:
    return Path(path).expanduser().absolute()


def _absolute_or_url(place: str) -> str:
    return place if "://" in place else str(_absolute(place))


def _absolute_sqlite(uri: str) -> str:
    if not uri.startswith(_SQLITE_PREFIX):
        return uri
    return f"{_SQLITE_PREFIX}{_absolute(uri.removeprefix(_SQLITE_PREFIX))}"
