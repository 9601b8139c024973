"""Why a step failed, where the end of its run finds it: one JSON in the object store under the run's id.

In: the error that ended a step, from its own process. Out: `step-faults/<run id>/<step>.json`. Kubeflow Pipelines tells
the exit task of a run neither which step failed nor why, and uploads no artifact of a failed step. Written by
`base/step_process.py`, read by the `notify` step.
"""

from datetime import datetime

import orjson
from pydantic import ValidationError

from components.base.adapters.s3 import ObjectStore
from components.base.documents import Document
from components.base.errors import DataError


class StepFault(Document):
    """The error that ended one step."""

    step: str
    reason: str
    """The error's words."""
    is_transient: bool
    """Something was out of reach until the last attempt."""
    at: datetime
    """UTC."""


def write_fault(store: ObjectStore, run_id: str, fault: StepFault) -> str:
    """Write the fault, and replace that of an earlier attempt; return its URI."""
    return store.put_bytes(f"step-faults/{run_id}/{fault.step}.json", orjson.dumps(fault.model_dump(mode="json")))


def read_faults(store: ObjectStore, run_id: str) -> list[StepFault]:
    """Read the faults of a run, the first one first.

    Raises:
        DataError: an object is not a fault.
    """
    keys = [entry.key for entry in store.list_objects(f"step-faults/{run_id}/")]
    try:
        faults = [StepFault.model_validate_json(store.get_bytes(key)) for key in keys]
    except ValidationError as error:
        raise DataError(f"step-faults/{run_id}/: each object must be a fault, but got {error}. Remove it.") from error
    return sorted(faults, key=lambda fault: fault.at)
