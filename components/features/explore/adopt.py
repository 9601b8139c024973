"""Write what a finding proposes into the contract, so that each validation from then on checks it.

In: the findings of a training, the name of one, and the contract's YAML file. Out: the file with the finding's lines,
and what changed. Called by `tidemill adopt`. The edited text is checked as a whole before it is written.
"""

import difflib
from pathlib import Path

from components.base.contract.edit import add_field, add_item
from components.base.contract.load import parse_problem, read_contract
from components.base.errors import DataError, suggest_name
from components.features.explore.documents import Finding, Findings


def find_proposing(findings: Findings, name: str) -> Finding:
    """Return the finding of that name.

    Raises:
        DataError: there is none, or it proposes nothing; the names of those that do are listed.
    """
    proposing = [one.id for one in findings.findings if one.proposals]
    listed = f"Those that propose a line: {', '.join(proposing) or '(none)'}."
    found = next((one for one in findings.findings if one.id == name), None)
    if found is None:
        near = suggest_name(name, [one.id for one in findings.findings])
        raise DataError(
            f"adopt {findings.problem}: FINDING must be a finding of the last training, but got {name!r}.{near} "
            f"{listed}"
        )
    if not found.proposals:
        raise DataError(
            f"adopt {findings.problem}: FINDING must propose a line of the contract, but {name} does not: what it says "
            f"is about no column of the examples' source, or the contract limits that column already. {listed}"
        )
    return found


def adopt_finding(finding: Finding, file: Path) -> str:
    """Add the finding's lines to a contract and return the difference; an empty one if all of them are there.

    Raises:
        ContractError: a line contradicts the contract, has no place in it, or makes it invalid; nothing is written.
    """
    before = after = read_contract(file)
    for proposal in finding.proposals:
        if proposal.field == "assumptions":
            after = add_item(after, file.name, proposal.field, proposal.entry)
        else:
            after = add_field(after, file.name, proposal.place, proposal.entry)
    if after == before:
        return ""
    parse_problem(after, f"{file.name} with {finding.id}")
    file.write_text(after, encoding="utf-8")
    lines = difflib.unified_diff(
        before.splitlines(), after.splitlines(), file.name, f"{file.name} with {finding.id}", "", "", 0, ""
    )
    return "\n".join(lines)
