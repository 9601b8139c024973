"""Times without a zone are in UTC; what is no time is refused."""

import re

import pytest

from components.base.errors import DataError
from components.base.times import parse_time


def test_as_of_without_a_zone_is_utc_and_nonsense_is_refused():
    assert parse_time("2013-07-01") == parse_time("2013-06-30T20:00:00-04:00")
    with pytest.raises(DataError, match=re.escape("as_of: it must be an ISO 8601 date or time, but got 'July'.")):
        parse_time("July")
