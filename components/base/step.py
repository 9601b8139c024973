"""The decorator of every KFP step: a thin function; its image holds kfp and this code, nothing is installed later.

`components/<phase>/steps.py` uses it when a pipeline is compiled or run locally; implementation modules never import
it, because `kfp.dsl.component` does not exist inside a pod.
"""

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from kfp import dsl

PHASES = ("base", "data", "features", "models", "serving", "release", "monitoring", "reports")
_ROOT = Path(__file__).parents[2]


def step(function: Callable[..., Any]) -> Any:
    """Make a KFP component of a thin wrapper.

    The image's name holds the fingerprint of the code that the phase can reach, because KFP's cache key contains the
    image and the wrapper, but no imported code. The environment has no influence: the same code compiles to the same
    pipeline everywhere. `pipelines/runners/compile.py` puts in a cluster's image.
    """
    phase = function.__module__.split(".")[-2]
    image = f"tidemill-python:{code_fingerprint(phase)}"
    return dsl.component(base_image=image, install_kfp_package=False)(function)


@cache
def code_fingerprint(phase: str) -> str:
    """Return 16 hexadecimal digits over the code of the phase and those before it, and over the locked packages.

    Feature declarations count from the features phase on: an edit of the report leaves tuning valid, an edit of a
    score does not.
    """
    reachable = PHASES[: PHASES.index(phase) + 1]
    folders = [_ROOT / "components" / name for name in reachable]
    if "features" in reachable:
        folders.append(_ROOT / "feature_repo")
    files = sorted(file for folder in folders for file in folder.rglob("*") if file.is_file())
    digest = hashlib.sha256()
    for file in [*files, _ROOT / "requirements.lock"]:
        if file.is_file() and file.suffix != ".pyc":
            digest.update(str(file.relative_to(_ROOT)).encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:16]
