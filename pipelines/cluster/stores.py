"""Copy the bucket and the online store of an installation to one stream, and back.

In: the settings of an installation, and a stream. Out: a tar of `objects/<key>`, `online/<number>` and, last,
`summary.json`. Called by `tidemill stores` in a pod of the installation: a backup reads its standard output, a restore
writes its standard input. Nothing is kept on a disk or whole in memory but one key of the online store at a time.
"""

import hashlib
import io
import tarfile
from collections.abc import Iterator
from types import SimpleNamespace
from typing import IO, cast
from urllib.parse import quote, unquote

from components.base.adapters.s3 import ObjectStore, open_store
from components.base.contract.load import load_problems
from components.base.documents import Document
from components.base.errors import DataError
from components.base.settings import Settings

SUMMARY = "summary.json"
_OBJECTS, _ONLINE = "objects/", "online/"
# A larger object is uploaded in parts, which takes several requests and as many threads.
_ONE_REQUEST_BYTES = 8 * 2**20


class Summary(Document):
    """What one stream holds."""

    objects: int
    object_bytes: int
    objects_digest: str
    """SHA-256 over keys and sizes."""
    online_keys: int


def export_stores(settings: Settings, stream: IO[bytes]) -> Summary:
    """Write every object of the bucket and every key of the online store.

    Raises:
        TransientError: a store does not answer.
    """
    store = open_store(settings)
    sizes: dict[str, int] = {}
    with tarfile.open(fileobj=stream, mode="w|", format=tarfile.PAX_FORMAT) as archive:
        for entry in store.list_objects():
            with store.reading(entry.key) as (size, content):
                _add(archive, _OBJECTS + entry.key, size, content)
            sizes[entry.key] = size
        keys = 0
        for key, value in _dump_online(settings):
            _add(archive, _ONLINE + quote(key, safe=""), len(value), io.BytesIO(value))
            keys += 1
        summary = Summary(
            objects=len(sizes),
            object_bytes=sum(sizes.values()),
            objects_digest=digest_objects(sizes),
            online_keys=keys,
        )
        text = summary.model_dump_json().encode()
        _add(archive, SUMMARY, len(text), io.BytesIO(text))
    return summary


def import_stores(settings: Settings, stream: IO[bytes]) -> Summary:
    """Write what `export_stores` wrote into the stores of these settings, and return its summary.

    Raises:
        DataError: the stream ended before its summary, or holds something else.
        TransientError: a store does not answer.
    """
    from components.features.online.redis import restore_key

    store = open_store(settings)
    store.ensure_bucket()
    with tarfile.open(fileobj=stream, mode="r|") as archive:
        for member in archive:
            content = archive.extractfile(member)
            if content is None:
                raise DataError(f"backup: every member must be a file, but {member.name} is none. Take another backup.")
            if member.name == SUMMARY:
                return Summary.model_validate_json(content.read())
            if member.name.startswith(_OBJECTS):
                _put(store, member.name.removeprefix(_OBJECTS), member.size, content)
            elif member.name.startswith(_ONLINE):
                restore_key(settings.online_store, unquote(member.name.removeprefix(_ONLINE)), content.read())
    raise DataError("backup: it must end with its summary, but ended before. Take another backup.")


def read_summary(path: str) -> Summary:
    """Read the summary of a file.

    Raises:
        DataError: it has none, because it is not whole.
    """
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                if member.name == SUMMARY and (content := archive.extractfile(member)):
                    return Summary.model_validate_json(content.read())
    except tarfile.TarError as error:
        raise DataError(f"{path}: it must be a whole backup, but got: {error}. Take another backup.") from error
    raise DataError(f"{path}: it must end with its summary, but has none. Take another backup.")


def digest_objects(sizes: dict[str, int]) -> str:
    """Return the SHA-256 over keys and sizes, in the order of the keys."""
    lines = (f"{key} {size}" for key, size in sorted(sizes.items()))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _dump_online(settings: Settings) -> Iterator[tuple[str, bytes]]:
    from components.features.online.redis import dump_keys

    for problem in load_problems(settings.problems):
        yield from dump_keys(settings.online_store, problem)


def _add(archive: tarfile.TarFile, name: str, size: int, content: IO[bytes]) -> None:
    described = tarfile.TarInfo(name)
    described.size = size
    archive.addfile(described, content)


def _put(store: ObjectStore, key: str, size: int, content: IO[bytes]) -> None:
    if size <= _ONE_REQUEST_BYTES:
        store.put_bytes(key, content.read())
    else:
        # A member of a stream claims to know whether it can seek, and fails when it is asked.
        store.put_stream(key, cast("IO[bytes]", SimpleNamespace(read=content.read)))
