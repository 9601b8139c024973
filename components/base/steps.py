"""KFP face of the base phase."""

from kfp.dsl import Artifact, Output

from components.base.step import step


@step
def frame(contract: str, problem: Output[Artifact]):
    """Check the problem contract and keep it as JSON."""
    from components.base.contract.load import parse_problem, write_problem

    write_problem(parse_problem(contract, "contract"), problem.path)
