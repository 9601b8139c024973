"""Times as the pipelines take them: text in ISO 8601 in, aware times in UTC out."""

from datetime import UTC, datetime

from components.base.errors import DataError


def parse_time(text: str) -> datetime:
    """Parse an ISO 8601 date or time into UTC; without a zone it is UTC already.

    Raises:
        DataError: the text is no date or time.
    """
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        raise DataError(f"as_of: it must be an ISO 8601 date or time, but got {text!r}. Write 2013-07-01.") from error
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(UTC)
