"""Import KServe and skops without what an answer does not need: half of the time from the start to the first answer.

In: nothing. Out: modules in `sys.modules`. Called by the predictor's program before any other import of them; nothing
else does, for a process that creates InferenceServices through KServe, or saves models, needs the whole of both.

kserve imports its client of Kubernetes with its server, and the package `kubernetes` with that; a predictor has no
account to use either with. skops imports every module of scikit-learn to list the public estimators; `load_model`
decides about those that a file names, by the same rule.
"""

import sys
from types import ModuleType
from typing import Any

_UNUSED = ("kubernetes", "kubernetes.client", "kubernetes.config", "kubernetes.client.rest")


class _Unused(ModuleType):
    """Stands for a module of which nothing is used."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {})


def import_lean() -> None:
    """Import kserve and skops, each without the part that a predictor does not use."""
    missing = [name for name in _UNUSED if name not in sys.modules]
    for name in missing:
        sys.modules[name] = _Unused(name)
    try:
        import kserve  # noqa: F401
    finally:
        # A later import finds the real package.
        for name in missing:
            del sys.modules[name]
    import sklearn.utils

    listing = sklearn.utils.all_estimators
    sklearn.utils.all_estimators = list
    try:
        import skops.io  # noqa: F401
    finally:
        sklearn.utils.all_estimators = listing
