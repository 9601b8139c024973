"""KFP face of the base phase."""

from typing import NamedTuple

from components.base.step import step


@step
def frame(problem: str, as_of: str, due: str) -> NamedTuple("Framed", [("contract", str), ("as_of", str)]):
    """Check the contract of the problem and keep it; return its URI, which names its content, and the run's time."""
    from components.base.adapters.s3 import open_store
    from components.base.contract.load import load_problem
    from components.base.contract.stored import store_problem
    from components.base.settings import load_settings
    from components.base.times import parse_time

    settings = load_settings()
    kept = store_problem(load_problem(settings.problems / f"{problem}.yaml"), open_store(settings))
    return kept, parse_time(as_of or due).isoformat()
