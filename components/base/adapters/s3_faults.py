"""Say in the platform's words why the object store did not do what was asked.

In come the verb, the key and what came back (an S3 error code with its HTTP status, or silence), out goes the error to
raise, with the place and what to do. Called by the store adapter alone; knows no SDK.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

from components.base.errors import (
    BucketMissingError,
    ObjectDamagedError,
    ObjectMissingError,
    StoreAccessError,
    StoreFullError,
    StoreRequestError,
    StoreUnavailableError,
    TidemillError,
)

# SeaweedFS makes its volumes read-only below 1 % free.
_READ_ONLY_RATIO = 0.01
# A part of an upload and the indices must still fit.
_SPARE_BYTES = 64 * 2**20
_FULL_CODES = {"InsufficientStorage", "QuotaExceeded", "XMinioStorageFull", "507"}
_ACCESS_CODES = {"AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "401", "403"}
_BUSY_CODES = {"SlowDown", "RequestTimeout"}
_TOO_MANY_REQUESTS = 429


@dataclass(frozen=True)
class StoreFaults:
    """The words for one bucket of one service."""

    url: str
    bucket: str
    attempts: int
    """How often a request was sent before the service counts as silent."""
    disk: Path | None
    """The folder of a service on this machine, to tell when its disk is full; None for a service elsewhere."""

    def refused(self, verb: str, key: str, code: str, status: int) -> TidemillError:
        """Choose the error for an answer that is not 2xx; `code` is S3's, or the status where there was no body."""
        if code in ("NoSuchKey", "404"):
            return self.missing(key)
        if code == "NoSuchBucket":
            return self.bucket_missing(verb, key)
        if code in _ACCESS_CODES:
            return self.denied(verb, key, code)
        if code in _FULL_CODES or (status >= 500 and verb == "put" and self.disk and is_full(self.disk)):
            return self.full(verb, key, code)
        if code in _BUSY_CODES or status == _TOO_MANY_REQUESTS or status >= 500:
            return self.failing(verb, key, f"{status} {code}")
        return StoreRequestError(f"{self._where(verb, key)}: {self.url} must accept it, but got {status} {code}.")

    def missing(self, key: str) -> ObjectMissingError:
        """Nothing is stored under the key."""
        return ObjectMissingError(
            f"s3://{self.bucket}/{key}: the object must exist, but nothing is stored there at {self.url}. "
            "Run the step that writes it."
        )

    def bucket_missing(self, verb: str, key: str) -> BucketMissingError:
        """There is no such bucket."""
        return BucketMissingError(
            f"{self._where(verb, key)}: the bucket must exist, but there is no {self.bucket!r} at {self.url}. "
            "Create it, or correct TIDEMILL_BUCKET."
        )

    def denied(self, verb: str, key: str, got: str) -> StoreAccessError:
        """The credentials are missing, unknown or not allowed to do that."""
        return StoreAccessError(
            f"{self._where(verb, key)}: {self.url} must accept the credentials, but got {got}. "
            "Correct TIDEMILL_S3_ACCESS_KEY and TIDEMILL_S3_SECRET_KEY, or the rights behind them."
        )

    def full(self, verb: str, key: str, got: str) -> StoreFullError:
        """The service has no room left."""
        if self.disk:
            got = f"{shutil.disk_usage(self.disk).free / 2**20:,.0f} MB free in {self.disk}"
        return StoreFullError(
            f"{self._where(verb, key)}: the object store must have room, but got {got}. "
            "What was put before is kept. Free disk space and run again."
        )

    def silent(self, verb: str, key: str, got: str) -> StoreUnavailableError:
        """The service does not answer, or only that it cannot."""
        return StoreUnavailableError(
            f"{self._where(verb, key)}: {self.url} must answer, but got {got} in {self.attempts} attempts. "
            "Start the object store or correct TIDEMILL_S3_ENDPOINT, then run again."
        )

    def failing(self, verb: str, key: str, got: str) -> StoreUnavailableError:
        """The service answers that it cannot: it is busy, broken, or its copy of the object is damaged."""
        log = f" ({self.disk / 'weed.log'})" if self.disk else ""
        advice = "If it stays so, delete the object and run the step that writes it again." if verb == "get" else ""
        return StoreUnavailableError(
            f"{self._where(verb, key)}: {self.url} must do it, but got {got} in {self.attempts} attempts. "
            f"Read its log{log}, then run again. {advice}".rstrip()
        )

    def damaged(self, verb: str, key: str, got: str) -> ObjectDamagedError:
        """What came back is not what was put."""
        return ObjectDamagedError(
            f"{self._where(verb, key)}: the content must match its checksum, but got {got} "
            "Run the step that writes it again."
        )

    def _where(self, verb: str, key: str) -> str:
        return f"{verb} s3://{self.bucket}/{key}"


def is_full(folder: Path) -> bool:
    """Tell whether the disk of a folder is too full for SeaweedFS to write."""
    usage = shutil.disk_usage(folder)
    return usage.free < usage.total * _READ_ONLY_RATIO + _SPARE_BYTES
