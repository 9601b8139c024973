"""Keep the contract of a run in the object store, and read it back in every later step.

In: a checked `Problem`, or the place where it was kept. Out: `<problem>/contracts/<sha256>.json`, which never changes.
The steps of a pipeline hand the URI on: it names the content, so that a step is reused when the contract is the same,
and runs again when one word of it differs. Called by the `frame` step and by the faces of all others.
"""

import hashlib

from components.base.adapters.s3 import ObjectStore, open_store
from components.base.contract.load import format_problem, parse_stored_problem, read_problem
from components.base.contract.problem import Problem
from components.base.settings import Settings


def store_problem(problem: Problem, store: ObjectStore) -> str:
    """Write the contract under the fingerprint of its content, and return its URI."""
    content = format_problem(problem).encode()
    return store.put_bytes(f"{problem.name}/contracts/{hashlib.sha256(content).hexdigest()}.json", content)


def fetch_problem(place: str, settings: Settings) -> Problem:
    """Read the contract that `frame` kept: an `s3://` URI, or a path on this machine.

    Raises:
        ObjectMissingError: nothing is stored there.
        ContractError: it names a task that this platform does not have.
    """
    if "://" in place:
        return parse_stored_problem(open_store(settings).get_bytes(place).decode(), place)
    return read_problem(place)
