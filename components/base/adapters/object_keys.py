"""The object keys that every S3 service keeps apart.

In: a key to write. Out: its faults in words. SeaweedFS keeps objects as files and stores
`a//b` and `a\\b` as `a/b`, refuses `.` and `..`, and hides `.uploads`; S3 itself would keep all of them. Keys that
follow these rules mean the same everywhere. Called by the store before each put.
"""

from collections.abc import Iterator

# S3's limit for a key.
_KEY_BYTES = 1024
# The limit of one file name on SeaweedFS and on Linux.
_PART_BYTES = 255


def key_faults(key: str) -> Iterator[str]:
    """Yield what keeps a key from being written."""
    try:
        size_bytes = len(key.encode())
    except UnicodeEncodeError:
        yield "it must be valid Unicode, but half a surrogate pair stands alone in it."
        return
    parts = key.split("/")
    if not 0 < size_bytes <= _KEY_BYTES:
        yield f"it must have 1 to {_KEY_BYTES} bytes, but got {size_bytes}."
    if size_bytes and any(part in ("", ".", "..") for part in parts):
        yield "no part between slashes must be empty, '.' or '..'."
    if parts[0] == ".uploads":
        yield "it must not begin with '.uploads/', where SeaweedFS keeps unfinished uploads."
    if any(len(part.encode()) > _PART_BYTES for part in parts):
        yield f"each part between slashes must have at most {_PART_BYTES} bytes."
    if "\\" in key or not key.isprintable():
        yield "it must hold neither backslashes nor characters that cannot be printed."
