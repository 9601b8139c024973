from components.governor.rulings import RulingRecord
from tests.unit.monitoring.documents import rulings


def test_a_record_reads_back_from_the_json_that_the_api_gives():
    for record in rulings():
        assert RulingRecord.model_validate_json(record.model_dump_json()) == record
