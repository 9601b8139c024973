"""Say of a delivered file what it is, where that is not what the contract takes.

In: the first bytes of a file and its source. Out: the fault in words, or None. Called by `deliveries.py` before a file
is read: a compressed file or the page of a login read as CSV would be a long list of missing columns.
"""

from components.base.contract.problem import Source

HEAD_BYTES = 1024
_PARQUET = b"PAR1"
# First bytes of a file, what it is, and what to do.
_SIGNATURES = (
    (_PARQUET, "a parquet file", "Set `format: parquet` for the source, or deliver CSV."),
    (b"\x1f\x8b", "compressed by gzip", "Unpack it."),
    (b"PK\x03\x04", "a zip archive or an Excel workbook", "Unpack it, or save it as CSV."),
    (b"\xd0\xcf\x11\xe0", "an Excel workbook", "Save it as CSV."),
    (b"\x28\xb5\x2f\xfd", "compressed by Zstandard", "Unpack it."),
    (b"BZh", "compressed by bzip2", "Unpack it."),
    (b"%PDF", "a PDF", "Deliver the data behind it."),
    (b"\xfe\xff", "text in big-endian UTF-16", "Deliver UTF-8, or little-endian UTF-16 with `encoding: utf-16`."),
)
_PAGES = (b"<!doctype", b"<html", b"<?xml")
_UTF16 = b"\xff\xfe"


def find_kind_fault(head: bytes, source: Source) -> str | None:
    """Return what is wrong with a file that begins with these bytes, at most `HEAD_BYTES`; None for what is taken."""
    wanted = "a parquet file" if source.format == "parquet" else f"CSV in {source.encoding}"
    found, advice = _name_kind(head)
    if not head.strip():
        found, advice = "empty", "Deliver the header, or the schema, also when there are no rows."
    elif source.format == "parquet":
        if head.startswith(_PARQUET):
            return None
        found, advice = found or "something else", advice or "Deliver parquet, or correct `format` of the source."
    elif source.encoding == "utf-16":
        if head.startswith(_UTF16):
            return None
        found = found or "in another encoding: it lacks the mark FF FE at its beginning"
        advice = advice or "Correct `encoding` of the source, or deliver UTF-16 with it."
    elif head.startswith(_UTF16):
        found, advice = "text in UTF-16", "Set `encoding: utf-16` for the source, or deliver UTF-8."
    elif not found and b"\x00" in head:
        found, advice = "no text: it holds bytes of 0", "Deliver CSV, or correct `format` of the source."
    return f"it must be {wanted}, but is {found}. {advice}" if found else None


def _name_kind(head: bytes) -> tuple[str, str]:
    for signature, found, advice in _SIGNATURES:
        if head.startswith(signature):
            return found, advice
    begin = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if begin.startswith(_PAGES):
        return "a page of HTML or XML", "Fetch the file itself: the sender may have answered with an error or a login."
    if begin.startswith((b'{"', b'[{"')):
        return "JSON", "Deliver CSV or parquet."
    return "", ""
