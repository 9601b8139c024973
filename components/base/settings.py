"""Where things are: the variables TIDEMILL_*, read and checked once.

In: the environment, and in a pod the files of a mounted ConfigMap and Secret, one a variable. Out: a frozen `Settings`;
every other module is given it and never reads the environment. A field `home` is the variable TIDEMILL_HOME: its name,
type, default and check are in that one line. Called by the main programs and by a step's process; `child_environment`
writes what such a process needs. Nothing is created on disk here.
"""

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, WrapValidator
from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict

from components.base.errors import SettingsError, raise_faults, suggest_name
from components.base.installation import SECRETS_FOLDER, SETTINGS_FOLDER

_PREFIX = "TIDEMILL_"
_SQLITE = "sqlite:///"
_REDIS = re.compile(r"rediss?://[^/\s]+:\d{1,5}(/\d+)?")
# What Kubernetes tells each pod of the Services beside it, `tidemill-mlflow` for one: TIDEMILL_MLFLOW_PORT=tcp://….
_SERVICE_LINK = re.compile(r"\w+_(SERVICE_HOST=.*|SERVICE_PORT\w*=\d+|PORT(_\d+_TCP)?=tcp://.*|PORT_\d+_TCP_\w+=.*)")
_ROOT = Path(__file__).parents[2]


def _must(words: str) -> WrapValidator:
    """Replace whatever pydantic finds wrong with a value by one sentence about what the value must do."""

    def check(value: Any, parse: Callable[[Any], Any]) -> Any:
        try:
            return parse(value)
        except ValueError:
            raise ValueError(words) from None

    return WrapValidator(check)


def _make_absolute(path: str | Path) -> Path:
    if "://" in str(path):
        raise ValueError("be a path on this machine")
    return Path(path).expanduser().absolute()


def _make_absolute_or_url(place: str) -> str:
    return place if "://" in place else str(_make_absolute(place))


def _check_online_store(place: str) -> str:
    if "://" in place and not _REDIS.fullmatch(place):
        raise ValueError
    return _make_absolute_or_url(place)


def _check_service_root(url: str) -> str:
    parts = urlsplit(url)
    has_more = parts.path.strip("/") or parts.query or parts.fragment or parts.username
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0 or has_more:
        raise ValueError
    return url.rstrip("/")


def _database(*schemes: str) -> AfterValidator:
    """Accept a URL of these schemes and make the path of a SQLite file absolute."""

    def check(url: str) -> str:
        if re.split("[:+]", url, maxsplit=1)[0] not in schemes:
            raise ValueError(f"start with one of {', '.join(schemes)}")
        return f"{_SQLITE}{_make_absolute(url.removeprefix(_SQLITE))}" if url.startswith(_SQLITE) else url

    return AfterValidator(check)


LocalPath = Annotated[Path, BeforeValidator(_make_absolute)]
# Amazon's rule for bucket names, without the dots that break TLS on virtual hosts.
_Bucket = Annotated[
    str, Field(pattern=r"^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$"), _must("be 3 to 63 of a-z, 0-9 and inner hyphens")
]
_ServiceRoot = Annotated[str, AfterValidator(_check_service_root), _must("be http(s)://host[:port] without a path")]
_OnlineStore = Annotated[
    str, AfterValidator(_check_online_store), _must("be a path on this machine or redis[s]://host:port[/number]")
]
_Page = Annotated[str, Field(pattern=r"^https?://\S+[^/\s]$"), _must("be http(s)://… without a slash at its end")]
_Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False), _must("be a number above 0")]
_Bytes = Annotated[int, Field(gt=0), _must("be a whole number above 0")]


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


class Settings(BaseSettings):
    """Where one installation keeps its state and finds its services.

    A field with `repr=False` may hold a password: neither a log nor a fault shows it. A field with `exclude=True` stays
    out of the environment of child processes.
    """

    model_config = SettingsConfigDict(env_prefix=_PREFIX, frozen=True, extra="forbid", validate_default=True)

    platform: Annotated[Literal["local", "kubernetes"], _must("be local or kubernetes")] = "local"
    """Where runs and endpoints live: processes of this machine, or Kubeflow Pipelines and KServe."""
    home: LocalPath = Path(".tidemill")
    """Runs, reports and the embedded services' data."""
    problems: LocalPath = _ROOT / "pipelines" / "problems"
    """The folder of the contracts."""
    clock: LocalPath | None = None
    """The file that holds the present time, for simulations; None is the wall clock."""
    image: str | None = None
    """The image of steps and predictor on a cluster."""
    commit: str | None = None
    """The commit that an image was built from; None asks git, which a checkout has and an image has not."""
    endpoint_namespace: str = "tidemill"
    """The Kubernetes namespace of InferenceServices."""
    gateway_url: _ServiceRoot | None = None
    """The gateway in front of endpoints, by which the split of a canary is counted; None: as its Gateway reports it."""
    prometheus_url: _ServiceRoot | None = None
    """Prometheus, from which the limits of a rollout are read; None: a canary's split alone is checked."""

    bucket: _Bucket = "tidemill"
    """The bucket that holds snapshots, features and models."""
    s3_endpoint: _ServiceRoot | None = None
    """None means that the run starts the embedded SeaweedFS."""
    s3_access_key: str | None = None
    """Both keys, or neither: see `S3Endpoint`."""
    s3_secret_key: str | None = Field(None, repr=False)
    s3_region: str | None = None

    mlflow_uri: Annotated[str, _database("sqlite", "postgresql", "mysql", "http", "https")] = Field(
        default_factory=lambda known: f"{_SQLITE}{known['home']}/mlflow.db", repr=False
    )
    """Tracking and registry."""
    mlflow_ui: _Page | None = None
    """MLflow's UI as a browser reaches it; None leaves links to it out."""
    pipelines_ui: _Page | None = None
    """The UI of Kubeflow Pipelines as a browser reaches it; None leaves links to it out."""
    registry: Annotated[str, AfterValidator(_make_absolute_or_url)] = Field(
        default_factory=lambda known: f"{known['home']}/feast/registry.db", repr=False
    )
    """Feast's registry, a path or a URL."""
    online_store: _OnlineStore = Field(default_factory=lambda known: f"{known['home']}/feast/online.db", repr=False)
    """The online store: the path of a SQLite file, or the URL of a Redis."""
    study_database: Annotated[str, _database("sqlite", "postgresql")] | None = Field(None, repr=False)
    """Where tuning keeps its trials, a SQLAlchemy URL, so that a killed step goes on; None keeps them in memory."""
    features: str | None = Field(None, exclude=True)
    """Read by feature_repo/feature_store.yaml alone, when `feast` runs on the command line."""

    prediction_log: Annotated[Literal["on", "off", "synced"], _must("be on, off or synced")] = "on"
    """`off` logs nothing; `synced` answers when the rows are on the disk; the contract defines what is logged."""
    prediction_log_spool: LocalPath = Field(default_factory=lambda known: known["home"] / "spool")
    """Where a predictor keeps logged predictions until the object store has them."""
    prediction_log_segment_seconds: _Seconds = 300
    """Rows reach the object store after this delay; 288 objects a day read fast."""
    prediction_log_segment_bytes: _Bytes = 16 * 2**20
    """A fuller segment is uploaded at once; converting it takes seven times as much memory."""
    prediction_log_spool_bytes: _Bytes = 2**30
    """More is dropped; some two million rows, six hours at 100 a second."""

    governor_database: Annotated[str, _database("sqlite", "postgresql")] = Field(
        default_factory=lambda known: f"{_SQLITE}{known['home']}/governor.db", repr=False, exclude=True
    )
    """A SQLAlchemy URL (sqlite, postgresql+psycopg)."""
    governor_token_file: LocalPath | None = Field(None, exclude=True)
    """The bearer token of Alertmanager and of persons; a Kubernetes Secret's file."""
    governor_hmac_file: LocalPath | None = Field(None, exclude=True)
    """The secret that Grafana signs with. The governor refuses what it has no secret for."""

    @property
    def s3(self) -> S3Endpoint | None:
        """The object store, or None when the run starts the embedded one."""
        if self.s3_endpoint is None:
            return None
        region = self.s3_region or S3Endpoint.region
        return S3Endpoint(self.s3_endpoint, self.s3_access_key, self.s3_secret_key, region)

    @property
    def object_store_folder(self) -> Path:
        """Where the embedded object store keeps its data, credentials and log."""
        return self.home / "object-store"

    def with_store(self, endpoint: S3Endpoint) -> "Settings":
        """Return these settings with another object store."""
        return self.model_copy(
            update={
                "s3_endpoint": endpoint.url,
                "s3_access_key": endpoint.access_key,
                "s3_secret_key": endpoint.secret_key,
                "s3_region": endpoint.region,
            }
        )

    def child_environment(self) -> dict[str, str]:
        """Return every variable that a step's process needs beside the caller's own environment.

        With an object store they include the names that boto3 and MLflow read.
        """
        own = self.model_dump(mode="json", exclude_none=True)
        environment = {f"{_PREFIX}{name.upper()}": str(value) for name, value in own.items()}
        if self.s3 is None:
            return environment
        environment |= {
            "AWS_ENDPOINT_URL_S3": self.s3.url,
            "AWS_DEFAULT_REGION": self.s3.region,
            "MLFLOW_S3_ENDPOINT_URL": self.s3.url,
            "MLFLOW_TRACKING_URI": self.mlflow_uri,
        }
        if self.s3.access_key and self.s3.secret_key:
            environment["AWS_ACCESS_KEY_ID"] = self.s3.access_key
            environment["AWS_SECRET_ACCESS_KEY"] = self.s3.secret_key
            # Without it botocore requests credentials from 169.254.169.254, which hangs outside AWS.
            environment["AWS_EC2_METADATA_DISABLED"] = "true"
        return environment


def load_settings(
    environ: Mapping[str, str] = os.environ, folders: Sequence[Path] = (SETTINGS_FOLDER, SECRETS_FOLDER)
) -> Settings:
    """Read the settings; an empty variable counts as unset.

    Args:
        environ: Variables by name; they win over files.
        folders: Each file whose name starts with TIDEMILL_ is a variable; a folder that is missing holds none.

    Raises:
        SettingsError: with all faults at once, when a TIDEMILL_* variable is unknown or has a wrong value; a fault in a
            file names it.
    """
    files = {file.name: file for folder in folders if folder.is_dir() for file in folder.iterdir()}
    texts = {name: _read_file(file) for name, file in files.items()}
    given = {
        name: value
        for name, value in {**texts, **environ}.items()
        if name.startswith(_PREFIX) and value and not _SERVICE_LINK.fullmatch(f"{name}={value}")
    }
    sources = {name: f"; set in {file}" for name, file in files.items() if not environ.get(name)}
    source = EnvSettingsSource(Settings)
    source.env_vars = {name.lower(): value for name, value in given.items()}
    known = [f"{_PREFIX}{name.upper()}" for name in Settings.model_fields]
    faults = [
        f"{name} must be one of the known variables, but it is not{sources.get(name, '')}.{suggest_name(name, known)}"
        for name in sorted(set(given) - set(known))
    ]
    try:
        settings = Settings(_build_sources=((source,), {}))  # type: ignore[call-arg]  # mypy sees the fields alone
    except ValidationError as error:
        # Not raised from the ValidationError: its text shows values, and some are secrets.
        faults.extend(_describe(error, sources))
    raise_faults(SettingsError, "settings", [*faults, *_find_missing(given)])
    return settings


def _read_file(path: Path) -> str:
    """Return the text of a setting; empty for what is none, such as the folders that Kubernetes swaps."""
    if not (path.name.startswith(_PREFIX) and path.is_file()):
        return ""
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise SettingsError(f"settings: {path} must be readable, but got: {error.strerror}. Check its mode.") from error


def _find_missing(given: Mapping[str, str]) -> Iterator[str]:
    keys = {"TIDEMILL_S3_ACCESS_KEY", "TIDEMILL_S3_SECRET_KEY"} & set(given)
    if len(keys) == 1:
        yield f"TIDEMILL_S3_ACCESS_KEY and TIDEMILL_S3_SECRET_KEY must both be set, but one is: {min(keys)}."
    lone = sorted(keys | ({"TIDEMILL_S3_REGION"} & set(given)))
    if lone and "TIDEMILL_S3_ENDPOINT" not in given:
        yield f"TIDEMILL_S3_ENDPOINT must be set when {', '.join(lone)} is. Set it, or unset the others."
    if given.get("TIDEMILL_PLATFORM") == "kubernetes":
        for name, what in (("IMAGE", "the image of steps and predictor"), ("S3_ENDPOINT", "an S3 service")):
            if f"{_PREFIX}{name}" not in given:
                yield f"{_PREFIX}{name} must be set when TIDEMILL_PLATFORM is kubernetes, but is not. Name {what}."


def _describe(error: ValidationError, sources: Mapping[str, str]) -> Iterator[str]:
    for fault in error.errors():
        # A default that is derived from a field that is wrong itself.
        if fault["type"] == "default_factory_not_called":
            continue
        name = str(fault["loc"][0])
        variable = f"{_PREFIX}{name.upper()}"
        # The scheme alone of what may hold a password.
        got = fault["input"] if Settings.model_fields[name].repr else fault["input"].split(":")[0]
        yield f"{variable} must {fault['ctx']['error']}, but got {got!r}{sources.get(variable, '')}."
