"""`tidemill adopt`: make a finding of explore a check of the contract. Called by `make adopt`.

Reads what the newest training of the problem left on this machine; needs no service.
"""

from typing import Annotated

import typer

from pipelines.commands.options import DEMO_PROBLEM, Problem, shorten


def adopt(
    finding: Annotated[
        str, typer.Argument(help="The finding's name in the report. Default: list what can be adopted.")
    ] = "",
    problem: Problem = DEMO_PROBLEM,
) -> None:
    """Write the lines that a finding proposes into the contract: limits of a column, its values, what it may lack.

    Comments and layout stay. A contract that says something else there, or would have a fault, is left as it is.

    [bold]Example[/]

    tidemill adopt group_carrier --problem flight-delays
    """
    from components.base.settings import load_settings
    from components.features.explore.adopt import adopt_finding, find_proposing
    from pipelines.runners.records import read_last_findings

    settings = load_settings()
    findings = read_last_findings(settings.home, problem)
    if not finding:
        lines = [f"{one.id}  {proposal.line}" for one in findings.findings for proposal in one.proposals]
        typer.echo("\n".join(lines) or f"{problem}: no finding of the last training proposes a line of the contract.")
        return
    adopted = find_proposing(findings, finding)
    file = settings.problems / f"{problem}.yaml"
    difference = adopt_finding(adopted, file)
    if not difference:
        typer.echo(f"{shorten(file)} has what {finding} proposes. Nothing is changed.")
        return
    typer.echo(difference)
    for basis in dict.fromkeys(proposal.basis for proposal in adopted.proposals):
        typer.echo(basis)
    command = "make demo" if problem == DEMO_PROBLEM else f"make demo PROBLEM={problem} AS_OF=YYYY-MM-DD"
    typer.echo(f"{shorten(file)} is written. Every validation enforces it from now on, the next one by `{command}`.")
