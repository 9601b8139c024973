"""The decorator of every KFP step: a thin function; its image holds kfp and this code, nothing is installed later.

Its process is `step_process.py` around kfp's executor, on one machine and on a cluster.

`components/<phase>/steps.py` uses it when a pipeline is compiled or run locally; implementation modules never import
it, because `kfp.dsl.component` does not exist inside a pod.
"""

from collections.abc import Callable
from typing import Any

from kfp import dsl

from components.base.code import fingerprint_code

# kfp's program, behind a shell that would outlive it or be outlived by it; ours takes the place of that shell.
_EXECUTOR = "_KFP_RUNTIME=true python3 -m kfp.dsl.executor_main"
# `kfp.local` runs a command only if the name of its own program is in it.
_PROCESS = "# around kfp.dsl.executor_main\n_KFP_RUNTIME=true exec python3 -m components.base.step_process"


def step(function: Callable[..., Any]) -> Any:
    """Make a KFP component of a thin wrapper.

    The image's name holds the fingerprint of the code that the phase can reach, because KFP's cache key contains the
    image and the wrapper, but no imported code. The environment has no influence: the same code compiles to the same
    pipeline everywhere. `pipelines/runners/compile.py` puts in a cluster's image.
    """
    phase = function.__module__.split(".")[-2]
    image = f"tidemill-python:{fingerprint_code(phase)}"
    component = dsl.component(base_image=image, install_kfp_package=False)(function)
    container = component.component_spec.implementation.container
    container.command = [part.replace(_EXECUTOR, _PROCESS) for part in container.command]
    return component
