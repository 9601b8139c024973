"""What each step needs on a cluster, in one table: memory, processors, time, attempts, and whether it may be reused.

In: the name of a step. Out: its `StepResources`, and the tasks of the pipeline that is being built, set up by them.
Called by the pipelines (`set_up_everywhere`) and by `on_cluster.py` (`set_resources`).

Memory: resident sets in pods, on flights cut to 8,000 rows, were 664 MiB (ensemble), 628 (prepare), 475 (evaluate), 404
(select) and below 350 MiB elsewhere; on the whole year the largest process has 1.1 GiB. On 1.7 million rows select
takes 2.7 GiB, ensemble 2.5, prepare 1.9, explore 1.8, build 1.6. The request is the first, the limit leaves room for
the second.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from kfp import dsl, kubernetes

from components.base.installation import (
    IMAGE_USER,
    PROBLEMS,
    PROBLEMS_FOLDER,
    SECRETS,
    SECRETS_FOLDER,
    SETTINGS,
    SETTINGS_FOLDER,
)

# Its rights: what KFP needs in a step's pod, and InferenceServices in the endpoints' namespace; nothing else.
STEPS_ACCOUNT = "tidemill-steps"
# Kubeflow's label of every pod of a run; the environment is no part of the cache's key, a parameter would be.
_RUN_ID_FIELD = "metadata.labels['pipeline/runid']"


@dataclass(frozen=True)
class StepResources:
    """What one step needs."""

    memory_request: str = "768Mi"
    memory_limit: str = "2Gi"
    """A step beyond it is killed, and its run fails."""
    cpu_request: str = "250m"
    cpu_limit: str = "2"
    """Steps fit on as many threads as the node has cores: a smaller limit makes them wait for each other."""
    timeout_seconds: int = 1800
    """Of its pod; ten times what the flights of a year take, and at least half an hour."""
    attempts: int = 4
    """Of a step that meets a transient fault; any other fault ends the step at once."""
    is_reused: bool = False
    """KFP may take the outputs of an earlier run with the same inputs. Never of a step that reads or changes the world
    outside: the object store, the registry, the online store, the endpoint."""


_LARGE = StepResources(
    memory_request="1Gi", memory_limit="4Gi", cpu_request="500m", timeout_seconds=3600, is_reused=True
)
_LIGHT = StepResources(memory_request="384Mi", memory_limit="1Gi", cpu_request="100m")

STEPS: dict[str, StepResources] = {
    # That of monitoring waits up to an hour for its refresh.
    "frame": replace(_LIGHT, timeout_seconds=2 * 3600),
    "ingest": StepResources(),
    "validate": StepResources(is_reused=True),
    # KFP's cache does not see whether the tables are still there; build does, and leaves them if so.
    "build": StepResources(),
    "prepare": _LARGE,
    "explore": StepResources(is_reused=True),
    # Its answer is a parameter of select: the same champion leaves the steps after it valid.
    "recall": _LIGHT,
    "select": _LARGE,
    # One family, whose search ends half an hour before at its default ceiling; up to three side by side.
    "tune": _LARGE,
    "ensemble": _LARGE,
    "evaluate": StepResources(memory_limit="4Gi"),
    "refit": _LARGE,
    "register": StepResources(),
    "materialize": StepResources(),
    # Waits for an endpoint to start, and for the soak time of a rollout.
    "deploy": StepResources(timeout_seconds=6 * 3600),
    "present": StepResources(),
    "record": _LIGHT,
    "monitor": StepResources(memory_limit="4Gi"),
    "report": StepResources(),
    "notify": _LIGHT,
}


# Sums in another order round otherwise; the fits of `components/models/parallel.py` run side by side instead.
SAME_EVERYWHERE = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "PYTHONHASHSEED": "0",
    "TZ": "UTC",
    "LC_ALL": "C.UTF-8",
}
"""In the environment of every step, on one machine and on a cluster."""


def set_up_everywhere() -> None:
    """Say of each task whether KFP may reuse it, and take away what could make its result another elsewhere."""
    for task in _list_tasks():
        task.set_caching_options(STEPS[task.component_spec.name].is_reused)
        for name, value in SAME_EVERYWHERE.items():
            task.set_env_variable(name, value)


def set_resources() -> None:
    """Give each task of the pipeline that is being built its resources, settings, user and place for its reason."""
    for task in _list_tasks():
        step = STEPS[task.component_spec.name]
        task.set_memory_request(step.memory_request).set_memory_limit(step.memory_limit)
        task.set_cpu_request(step.cpu_request).set_cpu_limit(step.cpu_limit)
        task.set_env_variable("STEP_ATTEMPTS", str(step.attempts))
        # A step has no writable home of its own user; /tmp is writable, and KFP empties it with the pod.
        task.set_env_variable("HOME", "/tmp")  # noqa: S108
        kubernetes.use_field_path_as_env(task, env_name="STEP_RUN_ID", field_path=_RUN_ID_FIELD)
        kubernetes.use_config_map_as_volume(task, SETTINGS, mount_path=str(SETTINGS_FOLDER))
        kubernetes.use_secret_as_volume(task, SECRETS, mount_path=str(SECRETS_FOLDER))
        kubernetes.use_config_map_as_volume(task, PROBLEMS, mount_path=str(PROBLEMS_FOLDER))
        kubernetes.set_timeout(task, step.timeout_seconds)
        kubernetes.set_security_context(task, run_as_user=IMAGE_USER, run_as_non_root=True)


def _list_tasks() -> Iterable[Any]:
    tasks: dict[str, Any] = dsl.pipeline_context.Pipeline.get_default_pipeline().tasks
    return tasks.values()
