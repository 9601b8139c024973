"""One finding about a cluster: what was found, in numbers, and what to do about it."""

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "warning", "fault"]


@dataclass(frozen=True)
class Check:
    """One finding."""

    name: str
    state: State
    """`fault`: the installation cannot work. `warning`: a part of it will not."""
    found: str
    """In numbers and names."""
    advice: str = ""
    """What to do; empty where all is well."""
