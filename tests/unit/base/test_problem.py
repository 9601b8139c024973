"""A contract reports every fault at once, in words that end the search."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.base.contract.load import load_problem, parse_problem, problem_schema, read_problem, write_problem
from components.base.contract.problem import Problem
from components.base.errors import ContractError

PROBLEMS = Path(__file__).parents[3] / "pipelines" / "problems"
FLIGHTS = (PROBLEMS / "flight-delays.yaml").read_text()


def faults_of(text: str) -> str:
    with pytest.raises(ContractError) as caught:
        parse_problem(text, "flight-delays.yaml")
    return str(caught.value)


def edited(*edits: tuple[str, str]) -> str:
    text = FLIGHTS
    for old, new in edits:
        assert old in text, old
        text = text.replace(old, new, 1)
    return text


def test_shipped_contract_holds() -> None:
    assert load_problem(PROBLEMS / "flight-delays.yaml").name == "flight-delays"


def test_contract_with_ten_faults_shows_ten_messages() -> None:
    message = faults_of(
        edited(
            ("kind: events", "kind: evnts"),
            ("taken_by:", "taken_bye:"),
            ("primary: average_precision", "primary: average-precision"),
            ("keep: 2", "keep: 9"),
            ("validation_days: 28", "validation_days: -1"),
            ("currency: USD", "currency: dollars"),
            ("true_positive: 1000", "true_positive: much"),
            ("seed: 7", "seed: seven"),
            ("p99_milliseconds: 50", "p99_milliseconds: 0"),
        )
    )
    assert len(message.splitlines()) == 11
    assert message.startswith("problem flight-delays.yaml: 10 faults.")
    assert "`decision.taken_bye` must be a known field, but is not. Did you mean 'taken_by'?" in message
    assert "`decision.taken_by` must be given, but is missing." in message
    assert "but got 'average-precision'. Did you mean 'average_precision'?" in message
    assert "`sources.flights.kind` must be one of events, snapshot, but got 'evnts'. Did you mean 'events'?" in message
    assert "`search.keep` should be less than or equal to 3, but got 9." in message


def test_every_fault_names_its_line() -> None:
    message = faults_of(edited(("keep: 2", "keep: 9")))
    line = next(n for n, text in enumerate(FLIGHTS.splitlines(), 1) if "keep: 2" in text)
    assert f"flight-delays.yaml:{line} `search.keep`" in message


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("key: [origin, observed_at]", "key: [orign, observed_at]", "got 'orign'. Did you mean 'origin'?"),
        (
            "source: airlines",
            "source: airline",
            "must name a source, but got 'airline'. Did you mean 'airlines'?",
        ),
        (
            "  expression: late\n",
            "  expression: late AND\n",
            "must be one DuckDB expression, but got 'late AND'",
        ),
        ("  expression: late\n", "  expression: latte\n", "got 'latte'. Did you mean 'late'?"),
        ("[10, 50, 100]", "[50, 10]", "must rise to 100, but got [50, 10]."),
        ("group_by: [carrier,", "group_by: [carier,", "must name a request feature, but got 'carier'."),
        (
            "available_at: outcome_at",
            "available_at: carrier",
            "must name a timestamp, but carrier is string.",
        ),
        ("minimum: 0.1, maximum: 0.4", "minimum: 0.5, maximum: 0.4", "lower limit below the upper one"),
        (
            "FROM flights GROUP BY month",
            "FROM flight GROUP BY month",
            "got 'flight'. Did you mean 'flights'?",
        ),
        (
            "capacity_per_day: 288",
            "capacity_per_day: 20",
            "must be at least capacity_periods_per_day (24), but got 20.",
        ),
        (
            "capacity_periods_per_day: 24",
            "capacity_periods_per_day: 5",
            "must divide the 24 hours of a day, but got 5.",
        ),
        (
            "to: [faa]",
            "to: [alt]",
            "must pair columns of one type, but dest is string and alt is float.",
        ),
        (
            "tailnum: {type: string, description: Registration}",
            "tailnum: {type: string, description: Registration, nullable: true}",
            "`sources.planes.key` must not be nullable, for rows without it would replace each other, but tailnum is.",
        ),
        (
            "key: [carrier, flight, origin, dest, scheduled_at]\n  predicted_at",
            "key: [carrier, distance, origin, dest, scheduled_at]\n  predicted_at",
            "`examples.key` must be of type bool, int, string, timestamp, but distance is float.",
        ),
        (
            "carrier: {type: string, description: Carrier code,",
            "carrier: {type: string, earliest: 2000-01-01, description: Carrier code,",
            ".columns.carrier.earliest` must be given for a timestamp only, but carrier is string.",
        ),
        (
            "predicted_at: {type: timestamp,",
            "predicted_at: {type: timestamp, earliest: 2014-01-02, latest: 2014-01-01,",
            "must have its earliest day before the latest, but got 2014-01-02 > 2014-01-01.",
        ),
        ("to: [faa]", "to: [faa, name]", "must pair columns, but got 1 columns to 2."),
        (
            "transform: join, columns: [origin, dest]",
            "transform: identity, columns: [origin, dest]",
            "must have one column",
        ),
        (
            "group_by: [carrier, scheduled_hour]",
            "group_by: [carrier, distance]",
            "`baseline.group_by` must name features with groups, but distance is a float",
        ),
        (
            "dest: {type: string,",
            "dest: {type: string, delivered_as: Origin,",
            "delivered_as` must be another name in the file than that of origin, but got 'Origin'.",
        ),
        ("dest: {type: string,", "dest: {type: string, delivered_as: _Row,", "must be none of _drop, _row, _fault,"),
        ("dest: {type: string,", "dest: {type: string, since: 2013-02-01,", "must be of a nullable column"),
        (
            "late:\n        type: bool",
            "late:\n        type: bool\n        since: 2013-02-01",
            "out of a derived column",
        ),
        ("format: csv", "format: parquet\n    delimiter: ';'", "must be left out for parquet: only CSV has one."),
        (
            "request: [carrier, flight",
            "request: [carriers, flight",
            "must name a column of flights, but got 'carriers'.",
        ),
    ],
)
def test_rules_across_sections_are_checked(old: str, new: str, words: str) -> None:
    assert words in faults_of(edited((old, new)))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            "expression: time_hour}",
            'expression: "lag(time_hour) OVER (ORDER BY time_hour)"}',
            "`sources.weather.columns.observed_at.expression` must be computed of its own row, but has "
            "'LAG(time_hour) OVER (ORDER BY time_hour)'. Compute it in the SQL of a feature view",
        ),
        ("expression: time_hour}", "expression: max(time_hour)}", "must be computed of its own row, but has 'MAX"),
        ("expression: time_hour}", "expression: minute(hour)}", "must be taken by DuckDB, but it says: Binder"),
        (
            "expression: time_hour}",
            "expression: nowhere(time_hour)}",
            "Scalar Function with name nowhere does not exist",
        ),
        ("drop_when: tailnum IS NULL", "drop_when: tailnum - 1", "filters.0.drop_when` must be taken by DuckDB"),
        ('pattern: "^[A-Z0-9]{2}$"', 'pattern: "^(?!AA)[A-Z0-9]{2}$"', "invalid perl operator: (?!"),
        (
            "cancelled: dep_time IS NULL",
            "cancelled: date_trunc('day', distance) IS NULL",
            "outcomes.cancelled` must be taken by DuckDB",
        ),
        (
            "  expression: late\n",
            "  expression: date_trunc('day', distance)\n",
            "`target.expression` must be taken by DuckDB",
        ),
        (
            'SELECT avg(late::INT) FROM flights"',
            'SELECT max(carrier) FROM flights"',
            "`assumptions.0.sql` must return one number, but returns VARCHAR. Select one aggregate.",
        ),
        ('SELECT avg(late::INT) FROM flights"', 'SELECT 1, 2"', "must return one number, but returns INTEGER, INTEGER"),
        ('SELECT avg(late::INT) FROM flights"', 'SELECT avg(latte) FROM flights"', 'column "latte" not found'),
    ],
)
def test_what_duckdb_does_not_take_is_refused_with_its_line(old: str, new: str, words: str) -> None:
    message = faults_of(edited((old, new)))
    assert words.lower() in message.lower()
    line = next(n for n, text in enumerate(FLIGHTS.splitlines(), 1) if old.strip() in text)
    assert f"flight-delays.yaml:{line} " in message


@pytest.mark.parametrize("name", ["predicted_at", "decision", "version", "row_hash", "event_timestamp", "feature__x"])
def test_request_column_with_a_name_of_the_platform_is_refused_with_its_line(name: str) -> None:
    text = FLIGHTS if f"      {name}:" in FLIGHTS else FLIGHTS.replace("      distance:", f"      {name}:")
    text = text.replace("scheduled_at, distance]", f"scheduled_at, {name}]")
    line = next(number for number, words in enumerate(FLIGHTS.splitlines(), 1) if words.startswith("  request:"))
    assert f"flight-delays.yaml:{line} `examples.request` must not " in faults_of(text)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("    scheduled_hour:", "    label_at:", "`features.request.label_at` must not be named 'label_at'"),
        ("  name: late\n", "  name: predicted_at\n", "`target.name` must not be named 'predicted_at'"),
        ("  name: late\n", "  name: distance\n", "`target.name` must differ from request columns and features"),
        ("    cancelled:", "    rows:", "`target.outcomes.rows` must not be named 'rows'"),
        ("      seats:", "      filename:", "`sources.planes.columns.filename` must not be named 'filename'"),
    ],
)
def test_name_that_the_platform_uses_itself_is_refused(old: str, new: str, words: str) -> None:
    assert words in faults_of(edited((old, new)))


def test_key_given_twice_is_refused() -> None:
    assert "`title` must be given once" in faults_of(FLIGHTS + "\ntitle: Another\n")


def test_text_that_is_no_yaml_is_refused_with_its_place() -> None:
    assert "does not parse" in faults_of("a: [1\nb: 2")
    assert "must hold a mapping" in faults_of("- a")


def test_unknown_problem_names_the_nearest_one() -> None:
    with pytest.raises(ContractError, match=re.escape("Did you mean 'flight-delays'?")):
        load_problem(PROBLEMS / "flight-delay.yaml")


def test_contract_written_as_json_reads_the_same(tmp_path: Path) -> None:
    problem = load_problem(PROBLEMS / "flight-delays.yaml")
    write_problem(problem, tmp_path / "problem.json")
    assert read_problem(tmp_path / "problem.json") == problem


def test_schema_for_editors_is_up_to_date() -> None:
    assert (PROBLEMS / "problem.schema.json").read_text() == problem_schema()


@settings(deadline=None, max_examples=40)
@given(
    field=st.sampled_from(sorted(Problem.model_fields)),
    value=st.one_of(st.none(), st.integers(), st.text(max_size=5)),
)
def test_any_damaged_section_is_reported_by_name(field: str, value: object) -> None:
    import yaml

    content = yaml.safe_load(FLIGHTS)
    if isinstance(content.get(field), str | type(None)):
        return
    content[field] = value
    assert f"`{field}" in faults_of(yaml.safe_dump(content))


def test_window_that_ends_before_any_label_is_due_is_refused() -> None:
    short = FLIGHTS.replace("window_days: 30", "window_days: 1")
    with pytest.raises(ContractError, match=re.escape("must be longer than label_delay_hours (24), but got 1 days")):
        parse_problem(short, "flights.yaml")


def test_key_that_a_request_does_not_hold_and_schedule_that_is_none_are_refused() -> None:
    text = FLIGHTS.replace("request: [carrier, flight,", "request: [carrier,").replace('"0 6 * * *"', '"0 66 * * *"')
    with pytest.raises(ContractError) as refused:
        parse_problem(text, "flights.yaml")
    assert "by which labels find predictions, but lacks ['flight']" in str(refused.value)
    assert "must be five cron fields that come true, but got '0 66 * * *'" in str(refused.value)


FIRST = (
    FLIGHTS.replace("version: 3\ntask: binary\n", "version: 1\n")
    .replace("target:\n", "target:\n  type: binary\n")
    .replace("capacity_periods_per_day", "capacity_shifts")
    .replace("maximum_psi", "maximum_shift")
    .replace("trials: 30", "tune_seconds: 25")
)
SECOND = FLIGHTS.replace("version: 3", "version: 2").replace("trials: 30", "tune_seconds: 25")


def test_contract_of_version_1_is_read_as_binary_with_a_note(caplog, tmp_path: Path) -> None:
    problem = parse_problem(FIRST, "flight-delays.yaml")
    assert problem == load_problem(PROBLEMS / "flight-delays.yaml")
    assert "version 1 is read as version 3. Write `version: 3` and `task: binary`; rename" in caplog.text
    assert "capacity_shifts to capacity_periods_per_day" in caplog.text
    stored = problem.model_dump(mode="json") | {"version": 1}
    stored["target"]["type"] = stored.pop("task")
    stored["monitoring"]["drift"]["maximum_shift"] = stored["monitoring"]["drift"].pop("maximum_psi")
    (tmp_path / "problem.json").write_text(json.dumps(stored))
    assert read_problem(tmp_path / "problem.json") == problem


def test_seconds_of_a_contract_of_version_2_are_read_as_trials_with_a_note(caplog, tmp_path: Path) -> None:
    problem = parse_problem(SECOND, "flight-delays.yaml")
    assert problem == load_problem(PROBLEMS / "flight-delays.yaml")
    assert "version 2 is read as version 3. Write `version: 3`; replace search.tune_seconds with" in caplog.text
    stored = problem.model_dump(mode="json") | {"version": 2}
    del stored["search"]["trials"], stored["search"]["ceiling_seconds"]
    stored["search"]["tune_seconds"] = 25.0
    (tmp_path / "problem.json").write_text(json.dumps(stored))
    assert read_problem(tmp_path / "problem.json") == problem


@pytest.mark.parametrize(("days", "is_told"), [(9, True), (10, False), (28, False)])
def test_contract_whose_test_is_short_is_told_that_its_intervals_are_too_narrow(caplog, days: int, is_told: bool):
    parse_problem(edited(("test_days: 28", f"test_days: {days}")), "flights.yaml")
    line = next(number for number, text in enumerate(FLIGHTS.splitlines(), 1) if "test_days" in text)
    words = f"flights.yaml:{line} `split.test_days` should be at least 10, but is {days}: on fewer days the intervals"
    assert (words in caplog.text) is is_told


def test_fault_of_a_contract_of_version_1_names_its_own_line() -> None:
    message = faults_of(FIRST.replace("maximum_shift: 0.25", "maximum_shift: -1"))
    line = next(number for number, text in enumerate(FIRST.splitlines(), 1) if "maximum_shift" in text)
    assert f"flight-delays.yaml:{line} `monitoring.drift.maximum_shift`" in message


@pytest.mark.parametrize(("task", "hint"), [("binery", " Did you mean 'binary'?"), ("", "")])
def test_unknown_task_is_refused_with_the_known_ones(task: str, hint: str) -> None:
    message = faults_of(edited(("task: binary", f"task: {task}")))
    assert "flight-delays.yaml:3 `task` must be one of binary, regression, but got" in message
    assert message.endswith(hint) or not hint
