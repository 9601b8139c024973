"""KFP face of the base phase."""

from components.base.step import step


@step
def frame(problem: str) -> str:
    """Check the contract of the problem and keep it; return its URI, which names its content."""
    from components.base.adapters.s3 import open_store
    from components.base.contract.load import load_problem
    from components.base.contract.stored import store_problem
    from components.base.settings import load_settings

    settings = load_settings()
    return store_problem(load_problem(settings.problems / f"{problem}.yaml"), open_store(settings))
