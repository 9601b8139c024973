"""The process of one step: kfp's executor, tried again after a transient fault; the reason of a failure is kept.

In: the arguments of `kfp.dsl.executor_main`; from the environment STEP_ATTEMPTS, STEP_RUN_ID on a cluster, and
STEP_OWNER on one machine. Out: the outputs of the step; or a `StepFault` in the object store and exit code 1. Called by
the command of each step, which `step.py` writes. On one machine nothing is tried again, the run's log has the reason,
and the process ends with the one that runs the pipeline.

Why not `set_retry`: Argo retries every exit code, also that of data which break the contract, and starts a pod of 20 s
for each try. Only the process knows whether an error is transient.
"""

import logging
import os
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from components.base.child_process import end_with_parent
from components.base.errors import TidemillError, TransientError

log = logging.getLogger(__name__)

# A store that restarts is back within a minute; the waits are 15, 30 and 60 s for four attempts.
_FIRST_WAIT_SECONDS = 15.0
_FACTOR = 2.0


def run_step(
    execute: Callable[[], None],
    step: str,
    environment: Mapping[str, str] = os.environ,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Execute a step, again after a transient fault, and keep the reason when it fails.

    Args:
        execute: Does the step's work; called once an attempt.
        step: The step's name.
        environment: STEP_ATTEMPTS, 1 without it; STEP_RUN_ID, without it no reason is kept.
        sleep: Waits so many seconds.

    Raises:
        Exception: the error of the last attempt, unchanged.
    """
    attempts, wait = int(environment.get("STEP_ATTEMPTS", "1")), _FIRST_WAIT_SECONDS
    for attempt in range(1, attempts + 1):
        try:
            execute()
        except Exception as error:
            is_transient = isinstance(error, TransientError)
            if attempt == attempts or not is_transient:
                _keep_reason(step, error, environment)
                raise
            log.warning(
                "%s: attempt %d of %d failed, the next begins in %.0f s: %s", step, attempt, attempts, wait, error
            )
            sleep(wait)
            wait *= _FACTOR
        else:
            return


def _keep_reason(step: str, error: Exception, environment: Mapping[str, str]) -> None:
    """Write the reason to the object store; one that is out of reach must not hide the error."""
    run_id = environment.get("STEP_RUN_ID")
    if not run_id:
        return
    from components.base.adapters.s3 import open_store
    from components.base.settings import load_settings
    from components.base.step_faults import StepFault, write_fault

    reason = str(error) if isinstance(error, TidemillError) else f"{type(error).__name__}: {error}"
    fault = StepFault(step=step, reason=reason, is_transient=isinstance(error, TransientError), at=datetime.now(UTC))
    try:
        write_fault(open_store(load_settings()), run_id, fault)
    except TidemillError as unreachable:
        log.warning("%s: the reason is in this log only: %s", step, unreachable)


def _execute() -> None:
    """Give the SDKs what they read from the environment alone, and let kfp call the step's function."""
    from kfp.dsl.executor_main import executor_main

    from components.base.settings import load_settings

    # In a pod the settings are files, so that no password is in the environment that its manifest shows.
    places = load_settings().child_environment()
    os.environ.update({name: value for name, value in places.items() if not name.startswith("TIDEMILL_")})
    executor_main()


if __name__ == "__main__":
    if owner := os.environ.get("STEP_OWNER"):
        end_with_parent(int(owner))
    run_step(_execute, sys.argv[sys.argv.index("--function_to_execute") + 1])
