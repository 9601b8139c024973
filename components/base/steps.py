"""KFP face of the base phase."""

from typing import NamedTuple

from components.base.step import step


@step
def frame(problem: str, as_of: str, due: str, after: str = "") -> NamedTuple(
    "Framed", [("contract", str), ("as_of", str)]
):
    """Check the contract of the problem and its features, and keep it; return its URI, and the run's time.

    A run without an own time was started by its schedule, and waits for the pipeline `after`.
    """
    from components.base.adapters.s3 import open_store
    from components.base.contract.load import load_problem
    from components.base.contract.stored import store_problem
    from components.base.run_order import wait_for_earlier
    from components.base.settings import load_settings
    from components.base.times import parse_time
    from components.features.build import check_views

    settings = load_settings()
    checked, store = load_problem(settings.problems / f"{problem}.yaml"), open_store(settings)
    check_views(checked)
    time = parse_time(as_of or due)
    wait_for_earlier(store, checked, "" if as_of else after, time)
    return store_problem(checked, store), time.isoformat()
