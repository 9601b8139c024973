"""A small problem: trips that refer to cities, priced by their fare."""

from datetime import UTC, datetime
from pathlib import Path

from components.base.contract.binary import BinaryTarget
from components.base.contract.load import load_problem
from components.base.contract.problem import Source

FLIGHTS = Path(__file__).parents[3] / "pipelines" / "problems" / "flight-delays.yaml"
TRIPS = {
    "description": "Trips",
    "kind": "events",
    "path": "trips/*.csv",
    "format": "csv",
    "key": ["trip"],
    "event_timestamp": "started_at",
    "available_at": "known_at",
    "maximum_quarantine_ratio": 1.0,
    "columns": {
        "trip": {"type": "int", "description": "Number", "minimum": 1, "maximum": 1000},
        "city": {"type": "string", "description": "City"},
        "fare": {"type": "float", "description": "Fare", "unit": "EUR", "nullable": True, "minimum": 0, "maximum": 100},
        "started_at": {"type": "timestamp", "description": "Start"},
        "known_at": {
            "type": "timestamp",
            "description": "End",
            "expression": "started_at + to_minutes(trip)",
        },
    },
    "references": [
        {"columns": ["city"], "source": "cities", "to": ["city"], "orphans": "quarantine", "reason": "No tariff there"}
    ],
    "filters": [{"name": "free", "drop_when": "fare = 0", "reason": "Free trips are tests"}],
}
CITIES = {
    "description": "Cities",
    "kind": "snapshot",
    "path": "cities/*.csv",
    "format": "csv",
    "key": ["city"],
    "columns": {"city": {"type": "string", "description": "City", "pattern": "^[A-Z]+$"}},
}
AS_OF = datetime(2013, 4, 1, tzinfo=UTC)


def make_problem(trips=None, **sections):
    """Return the flight contract with trips and cities for sources."""
    base = load_problem(FLIGHTS)
    sources = {
        "trips": Source.model_validate({**TRIPS, **(trips or {})}),
        "cities": Source.model_validate(CITIES),
    }
    examples = base.examples.model_copy(
        update={"source": "trips", "key": ["trip"], "predicted_at": "started_at", "label_at": "known_at"}
    )
    target = BinaryTarget(
        name="dear",
        expression="fare > 50",
        positive="above 50 EUR",
        negative="at most 50 EUR",
        outcomes={"unpaid": "fare IS NULL"},
        decision_on_special_cases="none",
    )
    changed = {"name": "trips", "sources": sources, "examples": examples, "target": target, "assumptions": []}
    return base.model_copy(update={**changed, **sections})
