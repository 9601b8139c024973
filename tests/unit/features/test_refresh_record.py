"""A refresh leaves the quality report as it is, and what it was made for."""

import json
from datetime import UTC, datetime

from components.base.documents import read
from components.features.refresh_record import RefreshSummary, record_refresh

AS_OF = datetime(2013, 7, 1, tzinfo=UTC)


def test_quality_is_copied_and_the_summary_has_as_of_and_place(tmp_path):
    (tmp_path / "quality.json").write_text('{"any": "report"}')
    record_refresh(tmp_path, "s3://tidemill/flight-delays/features/1c", AS_OF, tmp_path / "record")
    assert (tmp_path / "record" / "quality.json").read_text() == '{"any": "report"}'
    written = tmp_path / "record" / "summary.json"
    assert json.loads(written.read_text()) == {
        "as_of": "2013-07-01T00:00:00+00:00",
        "features_uri": "s3://tidemill/flight-delays/features/1c",
    }
    assert read(RefreshSummary, written).as_of == AS_OF
