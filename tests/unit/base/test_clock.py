"""The clock: the wall clock, or the time in the file that TIDEMILL_CLOCK names."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from components.base.clock import read_clock, set_clock
from components.base.errors import SettingsError
from components.base.settings import load_settings


@pytest.fixture
def settings(tmp_path):
    return load_settings({"TIDEMILL_HOME": str(tmp_path), "TIDEMILL_CLOCK": str(tmp_path / "simulation" / "clock")})


def test_without_a_file_it_is_the_wall_clock(tmp_path):
    before = datetime.now(UTC)
    read = read_clock(load_settings({"TIDEMILL_HOME": str(tmp_path)}))
    assert before <= read <= datetime.now(UTC)


@pytest.mark.parametrize("hours", [-7, 0, 9])
def test_a_time_that_was_set_is_read_in_utc_until_the_next(settings, hours):
    elsewhere = datetime(2013, 7, 1, 6, tzinfo=timezone(timedelta(hours=hours)))
    set_clock(settings, elsewhere)
    assert (read_clock(settings), read_clock(settings).utcoffset()) == (elsewhere, timedelta(0))
    set_clock(settings, elsewhere + timedelta(days=1))
    assert read_clock(settings) == elsewhere + timedelta(days=1)


def test_a_time_without_a_zone_is_utc(settings):
    set_clock(settings, datetime(2013, 7, 1, tzinfo=UTC))
    settings.clock.write_text("2013-07-01T04:00:00\n")
    assert read_clock(settings) == datetime(2013, 7, 1, 4, tzinfo=UTC)


def test_a_file_that_is_missing_or_holds_no_time_is_refused(settings):
    with pytest.raises(SettingsError, match="TIDEMILL_CLOCK: the file must hold an ISO 8601 time"):
        read_clock(settings)
    set_clock(settings, datetime(2013, 7, 1, tzinfo=UTC))
    settings.clock.write_text("soon")
    with pytest.raises(SettingsError, match="Unset it to use the wall clock"):
        read_clock(settings)


def test_the_wall_clock_cannot_be_set(tmp_path):
    with pytest.raises(SettingsError, match="TIDEMILL_CLOCK: it must name a file to set the clock, but is unset"):
        set_clock(load_settings({"TIDEMILL_HOME": str(tmp_path)}), datetime(2013, 7, 1, tzinfo=UTC))
