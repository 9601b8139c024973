"""Load a problem contract and report every fault at once, with file, line, field, value and the nearest known name.

In: YAML text, or the JSON of a contract that was checked before. Out: a frozen `Problem`. Called by every step and
command. The shape is in `base/contract/problem.py`, the rules across sections in `base/contract/rules.py`.
"""

import json
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from components.base.contract.amounts import resolve_amounts
from components.base.contract.problem import Problem
from components.base.contract.tasks import CONTRACTS
from components.base.contract.upgrade import Location, describe_upgrade, list_changes, upgrade_contract
from components.base.errors import ContractError, describe_faults, raise_faults, suggest_name

_TYPE_WORDS = {
    "missing": "must be given, but is missing.",
    "extra_forbidden": "must be a known field, but is not.",
}
logger = logging.getLogger(__name__)


def parse_problem(text: str, where: str) -> Problem:
    """Parse and check a contract.

    Args:
        text: The YAML.
        where: How errors name the contract, usually its file name.

    Raises:
        ContractError: with all faults: YAML that does not parse, a key given twice, fields that break the schema and,
            once the schema holds, rules across sections; once these hold, SQL and patterns that DuckDB does not take.
    """
    # The rules parse SQL; a process that reads checked contracts, such as the predictor, does without 10 MB of parser.
    from components.base.contract.binding import find_binding_faults
    from components.base.contract.rules import find_cautions, find_faults

    node = compose_text(text, where)
    doubled = [name_place(node, where, loc) + "must be given once, but is given twice." for loc in _doubled_keys(node)]
    raise_faults(ContractError, f"problem {where}", doubled)
    content = yaml.safe_load(text)
    before = {change.new: change.old for change in list_changes(content.get("version"))}
    if before:
        logger.warning("problem %s: %s", where, describe_upgrade(content["version"]))

    def place(loc: Location) -> str:
        return name_place(node, where, before.get(loc, loc))

    content, unresolved = resolve_amounts(upgrade_contract(content))
    broken = [place(loc) + words for loc, words in unresolved]
    kind = CONTRACTS.get(str(content.get("task")))
    if kind is None:
        raise ContractError(f"problem {where}: " + place(("task",)) + _describe_task(content.get("task")))
    try:
        problem = kind.model_validate(content)
    except ValidationError as error:
        faults = [*broken, *(place(e["loc"]) + _words(kind, e) for e in error.errors())]
        raise ContractError(describe_faults(f"problem {where}", faults)) from error
    broken += [place(loc) + words for loc, words in find_faults(problem)]
    # Rules say in better words than DuckDB what is wrong with a name.
    broken = broken or [place(loc) + words for loc, words in find_binding_faults(problem)]
    raise_faults(ContractError, f"problem {where}", broken)
    for loc, words in find_cautions(problem):
        logger.warning("problem %s: %s%s", where, place(loc), words)
    return problem


def load_problem(path: Path | str) -> Problem:
    """Read and check a contract file.

    Raises:
        ContractError: when the file is missing (with the nearest name beside it) or has faults.
    """
    file = Path(path)
    return parse_problem(read_contract(file), file.name)


def load_problems(folder: Path) -> dict[str, Problem]:
    """Read and check every contract of a folder; return them by name, in the order of their files.

    Raises:
        ContractError: one has faults.
    """
    loaded = [load_problem(file) for file in sorted(folder.glob("*.yaml"))]
    return {problem.name: problem for problem in loaded}


def read_contract(file: Path) -> str:
    """Read the YAML text of a contract.

    Raises:
        ContractError: when there is no such file, with the nearest name in its folder.
    """
    if not file.is_file():
        known = sorted(other.stem for other in file.parent.glob("*.yaml"))
        raise ContractError(
            f"problem {file.stem}: one of {', '.join(known) or '(none)'} must be named, but got {file.stem!r}."
            f"{suggest_name(file.stem, known)} Contracts are the YAML files in {file.parent.name}/."
        )
    return file.read_text(encoding="utf-8")


def read_problem(path: Path | str) -> Problem:
    """Read the JSON of a contract that was checked before, maybe by an older platform.

    Raises:
        ContractError: it names a task that this platform does not have.
    """
    return parse_stored_problem(Path(path).read_text(encoding="utf-8"), path)


def parse_stored_problem(text: str, where: Path | str) -> Problem:
    """Parse the JSON of a contract that was checked before, with the error of `read_problem`."""
    content = upgrade_contract(json.loads(text))
    if content["task"] not in CONTRACTS:
        raise ContractError(f"problem {where}: `task` {_describe_task(content['task'])}")
    return CONTRACTS[content["task"]].model_validate(content)


def format_problem(problem: Problem) -> str:
    """Format the contract as canonical JSON: the same contract gives the same text."""
    return json.dumps(problem.model_dump(mode="json"), indent=1, sort_keys=True)


def write_problem(problem: Problem, path: Path | str) -> None:
    """Write the contract as canonical JSON."""
    Path(path).write_text(format_problem(problem), encoding="utf-8")


def problem_schema() -> str:
    """Return the JSON Schema of the contract, for editors."""
    every_task: Any = Union[tuple(CONTRACTS.values())]  # noqa: UP007 - the members are known at run time only
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **TypeAdapter(every_task).json_schema()}
    return json.dumps(schema, indent=1) + "\n"


def compose_text(text: str, where: str) -> yaml.MappingNode:
    """Parse YAML into nodes, which know their places in the text.

    Raises:
        ContractError: the text is no YAML, or no mapping of sections.
    """
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise ContractError(f"problem {where}: the file must be YAML, but it does not parse. {error}") from error
    if not isinstance(node, yaml.MappingNode):
        raise ContractError(f"problem {where}: the file must hold a mapping of sections, but it does not.")
    return node


def _doubled_keys(node: yaml.Node, loc: Location = ()) -> Iterator[Location]:
    for key, child in list_children(node):
        yield from _doubled_keys(child, (*loc, key))
    if isinstance(node, yaml.MappingNode):
        keys = [key.value for key, _ in node.value]
        yield from ((*loc, key) for key in sorted({k for k in keys if keys.count(k) > 1}))


def list_children(node: yaml.Node) -> list[tuple[str | int, yaml.Node]]:
    """Return the parts of a mapping or a list, each by its key or number; of anything else none."""
    if isinstance(node, yaml.MappingNode):
        return [(key.value, value) for key, value in node.value]
    if isinstance(node, yaml.SequenceNode):
        return list(enumerate(node.value))
    return []


def name_place(node: yaml.Node, where: str, loc: Sequence[str | int]) -> str:
    """Return `<file>:<line> <field>: `, the line being that of the nearest part that is in the file."""
    found = node
    for part in loc:
        found = dict(list_children(found)).get(part, found)
    return f"{where}:{found.start_mark.line + 1} `{'.'.join(map(str, loc))}` "


def _describe_task(task: Any) -> str:
    return f"must be one of {', '.join(CONTRACTS)}, but got {task!r}.{suggest_name(str(task), CONTRACTS)}"


def _words(contract: type[Problem], error: ErrorDetails) -> str:
    """Format what must hold, what came and what the nearest known name is."""
    kind, loc, got = error["type"], error["loc"], error["input"]
    words = _TYPE_WORDS.get(kind)
    if kind == "extra_forbidden":
        section = _annotation(contract, loc[:-1])
        known = list(section.model_fields) if isinstance(section, type) and issubclass(section, BaseModel) else []
        return f"{words}{suggest_name(str(loc[-1]), known)}"
    if kind == "missing":
        return str(words)
    if kind == "literal_error":
        options = get_args(_annotation(contract, loc))
        hint = suggest_name(str(got), [str(option) for option in options])
        return f"must be one of {', '.join(map(str, options))}, but got {got!r}.{hint}"
    message = error["msg"].removeprefix("Input ").removeprefix("String ").removeprefix("List ")
    shown = repr(got)
    return f"{message}, but got {shown if len(shown) <= 80 else shown[:77] + '...'}."


def _annotation(contract: type[Problem], loc: Sequence[str | int]) -> Any:
    """Return the annotation of the field at `loc`, through sections, dictionaries, lists and optional fields."""
    kind: Any = contract
    for part in loc:
        kind = _present(kind)
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            field = kind.model_fields.get(str(part))
            kind = field.annotation if field else None
        elif get_origin(kind) in (dict, list):
            kind = get_args(kind)[-1]
    return _present(kind)


def _present(kind: Any) -> Any:
    """Strip `| None` and Annotated."""
    options = [option for option in get_args(kind) if option is not type(None)]
    is_optional = type(None) in get_args(kind)
    is_annotated = hasattr(kind, "__metadata__")
    return _present(options[0]) if options and (is_optional or is_annotated) else kind
