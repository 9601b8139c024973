"""The errors of the object store, in the platform's words: one table of what went wrong.

In: the verb, the key and what came back (an S3 error code with its HTTP status, or silence). Out: the error to raise,
with the place and what to do. Called by the store adapter alone; knows no SDK.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

from components.base.errors import (
    ObjectMissingError,
    StoreAccessError,
    StoreRequestError,
    StoreUnavailableError,
    TidemillError,
)

# SeaweedFS makes its volumes read-only below 1 % free.
_READ_ONLY_RATIO = 0.01
# A part of an upload and the indices must still fit.
_SPARE_BYTES = 64 * 2**20
_TOO_MANY_REQUESTS = 429
_SERVER_ERROR = 500


@dataclass(frozen=True)
class Fault:
    """One way in which a request fails."""

    kind: type[TidemillError]
    text: str
    """The whole sentence; see `StoreFaults.word` for its fields."""


MISSING = Fault(
    ObjectMissingError,
    "{object}: the object must exist, but nothing is stored there at {url}. Run the step that writes it.",
)
NO_BUCKET = Fault(
    StoreRequestError,
    "{verb} {object}: the bucket must exist, but there is no {bucket!r} at {url}. Create it, or correct "
    "TIDEMILL_BUCKET.",
)
DENIED = Fault(
    StoreAccessError,
    "{verb} {object}: {url} must accept the credentials, but got {got}. Correct TIDEMILL_S3_ACCESS_KEY and "
    "TIDEMILL_S3_SECRET_KEY, or the rights behind them.",
)
FULL = Fault(
    StoreRequestError,
    "{verb} {object}: the object store must have room, but got {got}. What was put before is kept. Free disk space and "
    "run again.",
)
SILENT = Fault(
    StoreUnavailableError,
    "{verb} {object}: {url} must answer, but got {got} in {attempts} attempts. Start the object store or correct "
    "TIDEMILL_S3_ENDPOINT, then run again.",
)
FAILING = Fault(
    StoreUnavailableError,
    "{verb} {object}: {url} must do it, but got {got} in {attempts} attempts. Read its log{log}, then run again.",
)
# The service's only copy of an object may be damaged, which more attempts do not repair.
UNREADABLE = Fault(
    StoreUnavailableError,
    f"{FAILING.text} If it stays so, delete the object and run the step that writes it again.",
)
DAMAGED = Fault(
    StoreRequestError,
    "{verb} {object}: the content must match its checksum, but got {got} Run the step that writes it again.",
)
REFUSED = Fault(StoreRequestError, "{verb} {object}: {url} must accept it, but got {got}.")

# A code is S3's, or the status where an answer has no body.
_BY_CODE = {
    **dict.fromkeys(("NoSuchKey", "404"), MISSING),
    "NoSuchBucket": NO_BUCKET,
    **dict.fromkeys(
        ("AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "401", "403"), DENIED
    ),
    **dict.fromkeys(("InsufficientStorage", "QuotaExceeded", "XMinioStorageFull", "507"), FULL),
}
_BUSY_CODES = {"SlowDown", "RequestTimeout"}


@dataclass(frozen=True)
class StoreFaults:
    """The words for one bucket of one service."""

    url: str
    bucket: str
    attempts: int
    """How often a request was sent before the service counts as silent."""
    disk: Path | None
    """The folder of a service on this machine, to see when its disk is full; None for a service elsewhere."""

    def refuse(self, verb: str, key: str, code: str, status: int) -> TidemillError:
        """Choose the error for an answer that is not 2xx."""
        fault = _BY_CODE.get(code)
        if fault:
            return self.word(fault, verb, key, code)
        is_busy = code in _BUSY_CODES or status == _TOO_MANY_REQUESTS or status >= _SERVER_ERROR
        if status >= _SERVER_ERROR and verb == "put" and self.disk and is_full(self.disk):
            return self.word(FULL, verb, key, code)
        busy = UNREADABLE if verb == "get" else FAILING
        return self.word(busy if is_busy else REFUSED, verb, key, f"{status} {code}")

    def word(self, fault: Fault, verb: str, key: str, got: str = "") -> TidemillError:
        """Build the error of a fault: `got` is what came back."""
        if fault is FULL and self.disk:
            got = f"{shutil.disk_usage(self.disk).free / 2**20:,.0f} MB free in {self.disk}"
        text = fault.text.format(
            verb=verb,
            object=f"s3://{self.bucket}/{key}",
            url=self.url,
            bucket=self.bucket,
            got=got,
            attempts=self.attempts,
            log=f" ({self.disk / 'weed.log'})" if self.disk else "",
        )
        return fault.kind(text)


def is_full(folder: Path) -> bool:
    """Return whether the disk of a folder is too full for SeaweedFS to write."""
    usage = shutil.disk_usage(folder)
    return usage.free < usage.total * _READ_ONLY_RATIO + _SPARE_BYTES
