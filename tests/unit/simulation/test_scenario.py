"""The simulation's contract is the problem's own, but for what the story names."""

import yaml

from components.base.contract.load import parse_problem, read_contract
from components.base.settings import load_settings
from pipelines.simulation.scenario import CHANGES, FIRST_RELEASE, INCIDENTS, MONTH_ENDS, change_contract

CONTRACT = read_contract(load_settings({}).problems / "flight-delays.yaml")


def test_changed_contract_is_valid_and_differs_by_the_named_changes_only():
    changed = parse_problem(change_contract(CONTRACT), "replay").model_dump()
    own = parse_problem(CONTRACT, "own").model_dump()
    for section, changes in CHANGES.items():
        for name, value in changes.items():
            assert changed[section].pop(name) == value
            own[section].pop(name)
    assert changed == own


def test_own_contract_stays_as_it_is():
    before = yaml.safe_load(CONTRACT)
    change_contract(CONTRACT)
    assert yaml.safe_load(CONTRACT) == before


def test_months_follow_each_other_and_every_incident_lies_within():
    starts = [FIRST_RELEASE, *MONTH_ENDS[:-1]]
    assert [(end - start).days for start, end in zip(starts, MONTH_ENDS, strict=True)] == [31, 31, 30, 31, 30, 31]
    for incident in INCIDENTS:
        assert FIRST_RELEASE <= incident.start < incident.end <= MONTH_ENDS[-1]
