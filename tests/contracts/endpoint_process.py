"""Serve a model folder with online features held in memory: `python endpoint_process.py MODEL_DIR`.

The endpoint's contract tests start it as a process of its own. Feast has its own contract; here the lookup is a table.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.base.contract.load import load_problem
from components.serving.predictor.model import load_served
from components.serving.predictor.server import Predictor, serve
from components.tasks import open_task

CONTRACT = Path("pipelines/problems/flight-delays.yaml")
CARRIERS = {"UA": 0.2, "B6": 0.3, "AA": 0.1}
PLANES = {"N14228": 14.0, "N24211": 3.0}


@dataclass(frozen=True)
class Found:
    """Values of one row."""

    values: dict[str, Any]
    ages: dict[str, float | None]
    expired: tuple[str, ...] = ()
    read_at: float = 1_372_669_200.0


class MemoryLookup:
    """The two feature views of the test's model."""

    view_names = ("carrier", "plane")

    def read(self, rows: Sequence[dict[str, Any]]) -> list[Found]:
        if any(row["tailnum"] == "BREAK" for row in rows):
            raise RuntimeError("secret detail of the store")
        return [
            Found(
                {"carrier_late_ratio": CARRIERS.get(row["carrier"]), "plane_age": PLANES.get(row["tailnum"])},
                {
                    "carrier": 60.0 if row["carrier"] in CARRIERS else None,
                    "plane": 60.0 if row["tailnum"] in PLANES else None,
                },
                ("carrier",) if row["carrier"] == "OLD" else (),
            )
            for row in rows
        ]


if __name__ == "__main__":
    problem = load_problem(CONTRACT)
    served = load_served(sys.argv[1], open_task(problem), MemoryLookup(), version="7")
    serve(Predictor(problem.serving.endpoint, served), "127.0.0.1", 0)
