"""The decorator of every KFP step: a thin function; its image holds kfp and this code, nothing is installed later.

`components/<phase>/steps.py` uses it when a pipeline is compiled or run locally; implementation modules never import
it, because `kfp.dsl.component` does not exist inside a pod.
"""

from collections.abc import Callable
from typing import Any

from kfp import dsl

from components.base.code import fingerprint_code


def step(function: Callable[..., Any]) -> Any:
    """Make a KFP component of a thin wrapper.

    The image's name holds the fingerprint of the code that the phase can reach, because KFP's cache key contains the
    image and the wrapper, but no imported code. The environment has no influence: the same code compiles to the same
    pipeline everywhere. `pipelines/runners/compile.py` puts in a cluster's image.
    """
    phase = function.__module__.split(".")[-2]
    image = f"tidemill-python:{fingerprint_code(phase)}"
    return dsl.component(base_image=image, install_kfp_package=False)(function)
