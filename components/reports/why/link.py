"""One stage of the chain behind a version or an answer."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Link:
    """What happened at one stage, in words."""

    stage: str
    words: tuple[str, ...]
    place: str = ""
    """The file or record that says so; empty where the words are all there is."""
