"""Predicted rows and a header for the tests of the prediction log."""

import math
from datetime import UTC, datetime

from components.features.online.reader import ServedFeatures
from components.serving.prediction_log.schema import SegmentHeader
from components.serving.prediction_log.segment import LineWriter
from components.serving.predictor.model import Prediction

# 2013-07-01T07:00:00Z
READ_AT = 1_372_662_000.0
HEADER = SegmentHeader(
    problem="flight-delays",
    model_version="3",
    policy={"kind": "threshold", "threshold": 0.4},
    outputs=("probability",),
    decision_type="bool",
    sampling_ratio=1.0,
    label_delay_hours=24.0,
    request={"carrier": "string", "flight": "int", "scheduled_at": "timestamp", "distance": "float", "is_full": "bool"},
    features={"carrier": "categorical", "wind": "numeric"},
    views=("carrier_delays", "weather"),
)
ROW = {
    "carrier": "UA",
    "flight": 1545,
    "scheduled_at": datetime(2013, 7, 1, 9, 15, tzinfo=UTC),
    "distance": 1400.5,
    "is_full": True,
}


def make_prediction(probability: float = 0.25, wind: float = 7.125, read_at: float = READ_AT) -> Prediction:
    features = {"carrier": "UA", "wind": wind}
    ages = {"carrier_delays": 90.5, "weather": None if math.isnan(wind) else 3600.0}
    return Prediction([probability], probability >= 0.4, [], features, ServedFeatures({}, (), ages, (), read_at))


write_lines = LineWriter(HEADER).write
