"""Add one entry to the YAML text of a contract, and leave every other character as it is, comments too.

In: the text, the place of the entry and its value. Out: the text with the entry. The places of nodes in the text are
those that errors name; what is written is parsed again and compared, so that a layout that is not understood is refused
and never damaged. Called by `features/explore/adopt.py`. Replaces nothing.
"""

from typing import Any

import yaml

from components.base.contract.load import compose_text, list_children, name_place
from components.base.contract.upgrade import Location
from components.base.errors import ContractError


def format_entry(value: Any) -> str:
    """Format a value as YAML on one line, as it may stand within braces: `{minimum: 0, allowed: [AA, 'NO']}`."""
    # In a list, for a text such as `:0` needs quotes there only.
    text = yaml.safe_dump([value], default_flow_style=True, width=float("inf"), sort_keys=False, allow_unicode=True)
    return text.strip()[1:-1]


def add_field(text: str, where: str, loc: Location, value: Any) -> str:
    """Return the text with `value` under the key `loc[-1]` of the section before it; the same text if it stands there.

    Raises:
        ContractError: there is no such section, the key holds something else, or the layout is not understood.
    """
    root = compose_text(text, where)
    section, place = _find(root, loc[:-1]), f"problem {where}: {name_place(root, where, loc)}"
    content = yaml.safe_load(text)
    if not isinstance(section, yaml.MappingNode):
        raise ContractError(
            f"problem {where}: {name_place(root, where, loc[:-1])}must be a section to add `{loc[-1]}` to, but there "
            "is none. Train again under this contract, and adopt what explore finds then."
        )
    there = content
    for part in loc[:-1]:
        there = there[part]
    if loc[-1] in there:
        return _keep(text, place, there[loc[-1]], value)
    expected = _replace(content, loc, value)
    line = f"{format_entry(str(loc[-1]))}: {format_entry(value)}"
    return _prove(_insert(text, section, line), expected, f"{place}{line}")


def add_item(text: str, where: str, section: str, item: dict[str, Any]) -> str:
    """Return the text with `item` at the end of a list of named items; the same text if it stands in the list.

    Raises:
        ContractError: another item has its name, or the layout is not understood.
    """
    root, content = compose_text(text, where), yaml.safe_load(text)
    items = content.get(section) or []
    for number, other in enumerate(items):
        if other.get("name") == item["name"]:
            return _keep(text, f"problem {where}: {name_place(root, where, (section, number))}", other, item)
    expected = {**content, section: [*items, item]}
    line, listed = format_entry(item), _find(root, (section,))
    place = f"problem {where}: {name_place(root, where, (section,))}{line}"
    if isinstance(listed, yaml.SequenceNode):
        return _prove(_insert(text, listed, line if listed.flow_style else f"- {line}"), expected, place)
    line = f"{section}: [{line}]" if root.flow_style else f"\n{section}:\n  - {line}"
    return _prove(_insert(text, root, line), expected, place)


def _keep(text: str, place: str, found: Any, value: Any) -> str:
    """Return the text, which says that already.

    Raises:
        ContractError: it says something else.
    """
    if found == value:
        return text
    raise ContractError(
        f"{place}must not be in the contract, or be {format_entry(value)}, but is {format_entry(found)}. "
        "Decide which of them holds, and write it there yourself."
    )


def _find(node: yaml.Node, loc: Location) -> yaml.Node | None:
    found: yaml.Node | None = node
    for part in loc:
        found = dict(list_children(found)).get(part) if found else None
    return found


def _replace(content: Any, loc: Location, value: Any) -> Any:
    """Return a copy with the value at a place, and only there where an anchor of YAML shares a section."""
    return {**content, loc[0]: _replace(content.get(loc[0]), loc[1:], value)} if loc else value


def _insert(text: str, section: yaml.MappingNode | yaml.SequenceNode, line: str) -> str:
    """Put a line after the last part of a section, or into the braces of a section that is in one."""
    if section.flow_style:
        at = _end(text, list_children(section)[-1][1]) if section.value else section.end_mark.index - 1
        return f"{text[:at]}{', ' if section.value else ''}{line}{text[at:]}"
    # A comment behind the last part stays on its line.
    end = text.find("\n", _end(text, section))
    at = len(text) if end < 0 else end
    return f"{text[:at]}\n{' ' * section.start_mark.column}{line}{text[at:]}"


def _end(text: str, node: yaml.Node) -> int:
    """Return where the last part of a node ends; YAML has a section in block style end where the next one begins."""
    children = list_children(node)
    if children and not getattr(node, "flow_style", True):
        return _end(text, children[-1][1])
    return len(text[: node.end_mark.index].rstrip())


def _prove(text: str, expected: Any, place: str) -> str:
    """Return a text that says what is expected.

    Raises:
        ContractError: it says something else.
    """
    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError:
        found = None
    if found != expected:
        raise ContractError(f"{place} must be added by hand, for the layout of the file is not understood.")
    return text
