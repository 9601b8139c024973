"""Keep an installation: databases, bucket and online store as one folder or S3 prefix, its Secrets as one file.

In: an environment. Out: a `Backup` and the files that it names:

    backup.json          what it is, and what the installation held; written last, so that half a backup is none
    databases/<name>.dump   pg_dump's own format, of mlflow, feast, governor and optuna
    stores.tar           bucket and online store, as `tidemill stores export` writes them
    values.json          what Helm was given: contracts, image, sizes

Nothing is stopped for it. Databases are dumped before the bucket is read: every model and report that a row names is
there then, for objects are written before their rows. If somebody releases or rules meanwhile, it is taken again.
External databases and stores have their owner's backups: what is not embedded is named in `left_out`.
"""

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from components.base import documents
from components.base.adapters.s3 import ObjectStore
from components.base.documents import Document
from components.base.errors import PermanentError
from components.base.settings import S3Endpoint
from pipelines.cluster.environment import Environment
from pipelines.cluster.helm import Helm, Say
from pipelines.cluster.kubectl import Kubectl, Object
from pipelines.cluster.operations import OperationsPod, open_operations
from pipelines.cluster.state import InstallationState, compare_states, summarize_state, without_answers
from pipelines.cluster.stores import read_summary

DATABASES = ("mlflow", "feast", "governor", "optuna")
POSTGRESQL = "tidemill-postgresql"
_SECRETS = ("settings", "governor", "mlflow", "storage", "postgresql", "redis", "object-store")
_ATTEMPTS = 3
_MANIFEST, _STORES, _VALUES = "backup.json", "stores.tar", "values.json"


class Backup(Document):
    """One backup."""

    environment: str
    namespace: str
    taken_at: str
    """ISO 8601, UTC."""
    revision: int
    """Helm's."""
    left_out: tuple[str, ...]
    """Databases that are not embedded, and so not in it."""
    state: InstallationState
    """What the installation held then."""


def back_up(environment: Environment, folder: Path, secrets: Path, say: Say) -> Backup:
    """Write a backup into a folder, and the Secrets into a file that only its owner can read.

    Raises:
        PermanentError: nothing is installed, the folder holds a backup already, or the installation changes each time.
    """
    if (folder / _MANIFEST).exists() or secrets.exists():
        raise PermanentError(f"backup: {folder} and {secrets} must be new, but one is there. Name another.")
    helm, kubectl = Helm(environment), Kubectl(environment.namespace)
    revision = helm.find()
    with open_operations(environment) as pod:
        for _ in range(_ATTEMPTS):
            before = describe(pod)
            dumped = _dump(kubectl, pod, folder)
            after = describe(pod, "--no-answers")
            objects = read_summary(str(folder / _STORES)).model_dump(exclude={"online_keys"})
            kept = before.model_copy(update=objects)
            if not (differences := compare_states(without_answers(kept), after.model_copy(update=objects))):
                break
            say(f"The installation changed meanwhile; once more. {differences[0]}")
        else:
            raise PermanentError("backup: the installation must rest for a minute, but changed. Pause it, and repeat.")
    (folder / _VALUES).write_text(json.dumps(helm.read_values()), encoding="utf-8")
    _keep_secrets(kubectl, secrets)
    left_out = tuple(name for name in DATABASES if name not in dumped)
    taken_at = datetime.now(UTC).isoformat(timespec="seconds")
    backup = Backup(
        environment=environment.name,
        namespace=environment.namespace,
        taken_at=taken_at,
        revision=revision.number if revision else 0,
        left_out=left_out,
        state=kept,
    )
    documents.write(backup, folder / _MANIFEST)
    for line in summarize_state(kept):
        say(f"  {line}")
    return backup


def read_backup(folder: Path) -> Backup:
    """Read what a backup is.

    Raises:
        DataError: the folder holds none, or half of one.
    """
    return documents.read(Backup, folder / _MANIFEST)


def stores_of(folder: Path) -> Path:
    """Return the file with bucket and online store."""
    return folder / _STORES


def values_of(folder: Path) -> Path:
    """Return the file with Helm's values."""
    return folder / _VALUES


def dump_of(folder: Path, database: str) -> Path:
    """Return the file of a database."""
    return folder / "databases" / f"{database}.dump"


@contextmanager
def writing_backup(place: str) -> Iterator[Path]:
    """Yield a folder to write a backup into; an S3 prefix gets its files at the end of the block, backup.json last."""
    if not place.startswith("s3://"):
        folder = Path(place)
        folder.mkdir(parents=True, exist_ok=True)
        yield folder
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        yield folder
        store, prefix = _open_prefix(place)
        files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != _MANIFEST)
        for path in [*files, folder / _MANIFEST]:
            store.put_file(f"{prefix}/{path.relative_to(folder).as_posix()}", path)


@contextmanager
def reading_backup(place: str) -> Iterator[Path]:
    """Yield the folder of a backup, fetched where it is an S3 prefix."""
    if not place.startswith("s3://"):
        yield Path(place)
        return
    with tempfile.TemporaryDirectory() as scratch:
        store, prefix = _open_prefix(place)
        store.download_directory(prefix, Path(scratch))
        yield Path(scratch)


def _open_prefix(place: str) -> tuple[ObjectStore, str]:
    """Open the store that this person's own AWS_* variables name; it is not the installation's."""
    bucket, _, prefix = place.removeprefix("s3://").strip("/").partition("/")
    region = os.environ.get("AWS_DEFAULT_REGION", S3Endpoint.region)
    url = os.environ.get("AWS_ENDPOINT_URL_S3", f"https://s3.{region}.amazonaws.com")
    if not prefix:
        raise PermanentError(f"backup: it must be s3://bucket/prefix, but got {place!r}. Name a prefix.")
    return ObjectStore(S3Endpoint(url, region=region), bucket), prefix


def describe(pod: OperationsPod, *options: str) -> InstallationState:
    """Return what the installation of a pod holds."""
    printed = pod.run("tidemill", "stores", "describe", *options)
    return InstallationState.model_validate_json(printed.strip().splitlines()[-1])


def _dump(kubectl: Kubectl, pod: OperationsPod, folder: Path) -> tuple[str, ...]:
    """Write databases and stores, and return the databases."""
    databases = DATABASES if kubectl.read("statefulset", POSTGRESQL) else ()
    for name in databases:
        path = dump_of(folder, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        command = ("pg_dump", "--host=/tmp", "--username=postgres", "--format=custom", f"--dbname={name}")
        with path.open("wb") as file:
            kubectl.run("exec", f"{POSTGRESQL}-0", "--container=postgresql", "--", *command, stdout=file)
    with (folder / _STORES).open("wb") as file:
        pod.run("tidemill", "stores", "export", stdout=file)
    return databases


def _keep_secrets(kubectl: Kubectl, path: Path) -> None:
    found: list[Object] = []
    for name in _SECRETS:
        found += kubectl.read("secret", f"tidemill-{name}")
    kept = [
        {
            **{key: one[key] for key in ("apiVersion", "kind", "type", "data")},
            "metadata": {
                key: one["metadata"].get(key, {} if key != "name" else None)
                for key in ("name", "labels", "annotations")
            },
        }
        for one in found
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump({"PLAIN TEXT PASSWORDS": "Keep this file like a password.", "secrets": kept}, file, indent=1)
