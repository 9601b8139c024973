"""Put, get and list objects on any S3 service: the only module that imports boto3.

In: keys (`flights/2013-01.parquet`, or the whole `s3://<bucket>/<key>`) and bytes, files or folders. Out:
`s3://` URIs, bytes, files and `StoredObject`s, or one of the store's errors with the place and what to do.

Retries live here and nowhere above: `_ATTEMPTS` for whatever is transient. A put is atomic: readers see the object
before or after, never half. A get lands in a temporary file beside its target and is renamed. A folder is not
atomic: who uploads objects that belong together puts the one that names the others last.
"""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast
from urllib.parse import urlsplit

import boto3
from boto3.exceptions import RetriesExceededError
from botocore import exceptions as boto_errors
from botocore.config import Config

from components.base.adapters.object_keys import key_faults
from components.base.adapters.s3_faults import DAMAGED, DENIED, MISSING, SILENT, StoreFaults
from components.base.errors import (
    DataError,
    ObjectMissingError,
    SettingsError,
    StoreRequestError,
    raise_faults,
)
from components.base.settings import S3Endpoint, Settings

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# Three waits of about 0.5, 1 and 2 seconds: longer than a gateway's restart, shorter than patience.
_ATTEMPTS = 4
_CONNECT_TIMEOUT_SECONDS = 3
# A busy disk may delay a request; a dead host is found by the connection.
_READ_TIMEOUT_SECONDS = 60
_SILENCE = (
    boto_errors.ConnectionError,
    boto_errors.HTTPClientError,
    boto_errors.IncompleteReadError,
    RetriesExceededError,
)


@dataclass(frozen=True)
class StoredObject:
    """One object as the service describes it."""

    key: str
    size_bytes: int
    etag: str
    """Without quotes; changes whenever the content does, equals the MD5 only after a put in one part."""
    modified_at: datetime
    """UTC."""


class ObjectStore:
    """One bucket of one S3 service."""

    def __init__(
        self, endpoint: S3Endpoint, bucket: str, *, attempts: int = _ATTEMPTS, disk: Path | None = None
    ) -> None:
        """Make the client and send nothing; `disk` is the folder of a service on this machine."""
        self.endpoint = endpoint
        self.bucket = bucket
        config = Config(
            retries={"mode": "standard", "total_max_attempts": attempts},
            connect_timeout=_CONNECT_TIMEOUT_SECONDS,
            read_timeout=_READ_TIMEOUT_SECONDS,
            s3={"addressing_style": "path"},
            # An empty dictionary keeps HTTP_PROXY away from a service on this machine; None obeys it.
            proxies={} if _is_loopback(endpoint.url) else None,
        )
        self._client: S3Client = boto3.client(
            "s3",
            endpoint_url=endpoint.url,
            region_name=endpoint.region,
            aws_access_key_id=endpoint.access_key,
            aws_secret_access_key=endpoint.secret_key,
            config=config,
        )
        self._faults = StoreFaults(endpoint.url, bucket, attempts, disk)

    def uri(self, key: str) -> str:
        """Return `s3://<bucket>/<key>`."""
        return f"s3://{self.bucket}/{self.key(key)}"

    def key(self, place: str) -> str:
        """Return the key of a key or of an `s3://` URI.

        Raises:
            DataError: the URI names another bucket.
        """
        if not place.startswith("s3://"):
            return place
        bucket, _, key = place.removeprefix("s3://").partition("/")
        if bucket != self.bucket:
            raise DataError(
                f"{place}: the bucket must be {self.bucket!r}, but got {bucket!r}. Correct TIDEMILL_BUCKET."
            )
        return key

    def ensure_bucket(self) -> None:
        """Create the bucket unless it is there."""
        exists = self._client.exceptions.BucketAlreadyExists
        is_ours = self._client.exceptions.BucketAlreadyOwnedByYou
        with self._request("create", ""):
            try:
                self._client.create_bucket(Bucket=self.bucket)
            except (exists, is_ours):
                return

    def put_bytes(self, place: str, content: bytes) -> str:
        """Write one object and return its URI."""
        key = self._writable_key(place)
        with self._request("put", key):
            self._client.put_object(Bucket=self.bucket, Key=key, Body=content)
        return self.uri(key)

    def put_file(self, place: str, path: Path) -> str:
        """Write one object from a file, in parts when it is large, and return its URI."""
        with path.open("rb") as content:
            return self.put_stream(place, content)

    def put_stream(self, place: str, content: IO[bytes]) -> str:
        """Write one object from a stream, in parts when it is long, and return its URI."""
        key = self._writable_key(place)
        with self._request("put", key):
            self._client.upload_fileobj(content, self.bucket, key)
        return self.uri(key)

    @contextmanager
    def reading(self, place: str) -> Iterator[tuple[int, IO[bytes]]]:
        """Open one object for reading until the end of the block: its size in bytes, and its content.

        Raises:
            ObjectMissingError: nothing is stored there.
        """
        key = self.key(place)
        with self._request("get", key):
            found = self._client.get_object(Bucket=self.bucket, Key=key)
            yield found["ContentLength"], cast("IO[bytes]", found["Body"])

    def get_bytes(self, place: str) -> bytes:
        """Read one object whole.

        Raises:
            ObjectMissingError: nothing is stored there.
        """
        key = self.key(place)
        with self._request("get", key):
            return self._client.get_object(Bucket=self.bucket, Key=key)["Body"].read()

    def get_file(self, place: str, path: Path) -> Path:
        """Read one object into a file, which appears only when it is whole; return the path.

        Raises:
            ObjectMissingError: nothing is stored there.
        """
        key = self.key(place)
        path.parent.mkdir(parents=True, exist_ok=True)
        with self._request("get", key):
            self._client.download_file(self.bucket, key, str(path))
        return path

    def describe(self, place: str) -> StoredObject:
        """Return size, etag and time of one object without reading it.

        Raises:
            ObjectMissingError: nothing is stored there.
        """
        key = self.key(place)
        with self._request("describe", key):
            head = self._client.head_object(Bucket=self.bucket, Key=key)
        return StoredObject(key, head["ContentLength"], head["ETag"].strip('"'), _utc(head["LastModified"]))

    def etag(self, place: str) -> str:
        """Return the etag of one object."""
        return self.describe(place).etag

    def exists(self, place: str) -> bool:
        """Return whether an object is stored there; a missing bucket is an error."""
        try:
            self.describe(place)
        except ObjectMissingError:
            return False
        return True

    def list_objects(self, prefix: str = "") -> list[StoredObject]:
        """Return every object whose key begins so, sorted by key."""
        start = self.key(prefix)
        with self._request("list", start):
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=start)
            found = [
                StoredObject(entry["Key"], entry["Size"], entry["ETag"].strip('"'), _utc(entry["LastModified"]))
                for page in pages
                for entry in page.get("Contents", [])
            ]
        return sorted(found, key=lambda entry: entry.key)

    def touch(self, place: str) -> None:
        """Write one object again as it is, so that its time is that of its last use.

        Raises:
            ObjectMissingError: nothing is stored there.
        """
        self.put_bytes(place, self.get_bytes(place))

    def delete(self, place: str) -> None:
        """Remove one object; it is no error when there is none."""
        key = self.key(place)
        with self._request("delete", key):
            self._client.delete_object(Bucket=self.bucket, Key=key)

    def upload_directory(self, folder: Path, prefix: str) -> list[str]:
        """Write every file below a folder under `<prefix>/<relative path>`; return the URIs, sorted."""
        start = self.key(prefix).rstrip("/")
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        return [self.put_file(f"{start}/{path.relative_to(folder).as_posix()}", path) for path in files]

    def download_directory(self, prefix: str, folder: Path) -> list[Path]:
        """Read every object under `<prefix>/` into a folder; return the paths, sorted by key.

        Raises:
            ObjectMissingError: nothing is stored under the prefix.
        """
        start = f"{self.key(prefix).rstrip('/')}/"
        found = self.list_objects(start)
        if not found:
            raise self._faults.word(MISSING, "get", start)
        return [self.get_file(entry.key, folder / entry.key.removeprefix(start)) for entry in found]

    def _writable_key(self, place: str) -> str:
        key = self.key(place)
        raise_faults(DataError, f"object key {key!r}", key_faults(key))
        return key

    @contextmanager
    def _request(self, verb: str, key: str) -> Iterator[None]:
        """Turn what boto3 raises into the platform's errors."""
        try:
            yield
        except boto_errors.ClientError as error:
            code = error.response["Error"].get("Code", "")
            # The answer to HEAD has no body, so that 404 may mean the key or the bucket.
            if code == "404" and not self._has_bucket():
                code = "NoSuchBucket"
            status = error.response["ResponseMetadata"]["HTTPStatusCode"]
            raise self._faults.refuse(verb, key, code, status) from error
        except boto_errors.NoCredentialsError as error:
            raise self._faults.word(DENIED, verb, key, "none") from error
        except boto_errors.FlexibleChecksumError as error:
            raise self._faults.word(DAMAGED, verb, key, str(error)) from error
        except _SILENCE as error:
            raise self._faults.word(SILENT, verb, key, f"{type(error).__name__} ({error})") from error
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise StoreRequestError(f"{verb} s3://{self.bucket}/{key}: {error}. Free disk space.") from error

    def _has_bucket(self) -> bool:
        try:
            self._client.head_bucket(Bucket=self.bucket)
        except boto_errors.ClientError as error:
            return error.response["ResponseMetadata"]["HTTPStatusCode"] != 404
        return True


def open_store(settings: Settings) -> ObjectStore:
    """Return the store that the settings name.

    Raises:
        SettingsError: they name none: the embedded one is wanted, and it did not start this process.
    """
    if settings.s3 is None:
        raise SettingsError(
            "settings: TIDEMILL_S3_ENDPOINT must be set, but it is not. "
            "Set it, or run inside `with running_object_store(settings)`."
        )
    disk = settings.object_store_folder
    is_embedded = _is_loopback(settings.s3.url) and disk.is_dir()
    return ObjectStore(settings.s3, settings.bucket, disk=disk if is_embedded else None)


def _utc(time: datetime) -> datetime:
    return time.astimezone(UTC)


def _is_loopback(url: str) -> bool:
    return urlsplit(url).hostname in ("127.0.0.1", "localhost", "::1")
