"""`tidemill govern`: the governor, the same function as `python -m components.governor`. Called by `make govern`."""

from components.governor.__main__ import govern

__all__ = ["govern"]
