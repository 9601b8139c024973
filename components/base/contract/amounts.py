"""Limits in money that follow the costs: arithmetic of the values of decisions becomes a number.

In: the parsed YAML of a contract. Out: the same content with a number in each field of `AMOUNTS`. Called by `load.py`;
whatever reads a contract finds numbers only, and so does the contract that lies beside a model.
"""

from copy import deepcopy
from typing import Any

from components.base.contract.upgrade import Location
from components.base.expressions import evaluate

AMOUNTS: tuple[tuple[str, str], ...] = (
    ("business", "minimum_lift_per_1000"),
    ("monitoring", "minimum_value_gain_per_1000"),
)


def resolve_amounts(content: Any) -> tuple[Any, list[tuple[Location, str]]]:
    """Replace `0.5 * true_positive` by its number under `business.values`; the schema judges everything else.

    Returns:
        The content, and each expression that is none as (field, words). It becomes 0, as does one of values that are
        no numbers, so that the schema names its own faults beside.
    """
    resolved, faults = deepcopy(content), list[tuple[Location, str]]()
    business = resolved.get("business") if isinstance(resolved, dict) else None
    values = business.get("values") if isinstance(business, dict) else None
    if not isinstance(values, dict):
        return content, []
    for section, field in AMOUNTS:
        holder = resolved.get(section)
        amount = holder.get(field) if isinstance(holder, dict) else None
        if not isinstance(amount, str):
            continue
        holder[field] = 0.0
        if not all(isinstance(value, int | float) for value in values.values()):
            continue
        try:
            holder[field] = evaluate(amount, values, {})
        except (ValueError, ZeroDivisionError) as error:
            words = f"must be a number or arithmetic of business.values, but got {amount!r}: {error}."
            faults.append(((section, field), words))
    return resolved, faults
