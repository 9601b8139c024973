"""What is waited for is looked for in what the parts say themselves."""

import re

import pytest

from components.base.errors import EndpointUnavailableError
from pipelines.simulation.waiting import read_log_counts, wait_until

METRICS = """\
# TYPE tidemill_prediction_log_rows_total counter
tidemill_prediction_log_rows_total{outcome="spooled",problem="flight-delays"} 29143.0
tidemill_prediction_log_rows_total{outcome="stored",problem="flight-delays"} 18335.0
tidemill_prediction_log_rows_created{outcome="stored",problem="flight-delays"} 1.7955e+09
# TYPE tidemill_prediction_log_queue_rows gauge
tidemill_prediction_log_queue_rows{problem="flight-delays"} 88.0
"""


def test_rows_of_the_log_are_read_from_the_metrics():
    assert read_log_counts(METRICS) == {"spooled": 29143.0, "stored": 18335.0, "queue": 88.0}


def test_what_comes_is_waited_for():
    answers = iter([False, True])
    wait_until(lambda: next(answers), 5, "it must come")
    assert list(answers) == []


def test_what_does_not_come_is_told():
    with pytest.raises(EndpointUnavailableError, match=re.escape("loop: it must come within 0 seconds")):
        wait_until(lambda: False, 0, "it must come")
