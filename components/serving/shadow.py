"""Replay logged requests to a candidate in its dark launch, and compare its answers with those that users got.

In: the candidate's own URL and the prediction log. Out: gates. Called by the host of a cluster. Golden rows are of the
test period; these are of the last hours, with the entities and the missing values that users ask about now. Features
are looked up again, so an answer may differ from the logged one: only the distribution is compared.
"""

import io
import time
from collections.abc import Iterator

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from components.base.adapters.s3 import open_store
from components.base.contract.problem import Problem
from components.base.errors import EndpointUnavailableError
from components.base.gate import Gate, limit_gate
from components.base.settings import Settings
from components.base.statistics.counts import measure_output_psi
from components.base.tables import make_frame
from components.serving.client import EndpointAddress, Target, replay_v1
from components.serving.inference_service import ServedVersion
from components.serving.prediction_log.schema import (
    LOGGED_AT,
    MODEL_VERSION,
    REQUEST_ID,
    ROW,
    output_column,
    predictions_prefix,
    upgrade_table,
)
from components.serving.predictor.requests import RequestSchema, request_rows

# A pass takes some seconds, and its 99th percentile has five rows above it.
_ROWS = 500
# More segments hold older rows; the newest are uploaded every five minutes.
_SEGMENTS = 20
_PAUSE_SECONDS = 15.0


def shadow_candidate(candidate: ServedVersion, champion: str, url: str, settings: Settings) -> list[Gate]:
    """Replay what the champion answered last, and what it logs until the contract's time is over.

    Raises:
        TransientError: the object store does not answer.
    """
    rollout = candidate.problem.serving.rollout
    until = time.monotonic() + rollout.shadow_seconds
    # By name: a later pass of few rows leaves the PSI of an earlier one.
    gates: dict[str, Gate] = {}
    seen: set[tuple[str, int]] = set()
    while True:
        logged = read_logged(candidate.problem, champion, settings)
        keys = list(zip(logged[REQUEST_ID], logged[ROW], strict=True)) if len(logged) else []
        fresh = logged[[key not in seen for key in keys]] if keys else logged
        seen.update(keys)
        if len(fresh):
            gates |= {gate.name: gate for gate in _compare(candidate, url, fresh)}
        left = until - time.monotonic()
        if left <= 0 or any(gate.blocks for gate in gates.values()):
            break
        time.sleep(min(left, _PAUSE_SECONDS))
    words = "the champion has logged no request that could be replayed."
    return list(gates.values()) or [Gate(name="shadow", verdict="not judged", value=None, limit=None, reason=words)]


def read_logged(problem: Problem, version: str, settings: Settings) -> pd.DataFrame:
    """Return the newest logged rows of a version, at most `_ROWS`; empty when there are none."""
    store = open_store(settings)
    objects = sorted(store.list_objects(predictions_prefix(problem.name)), key=lambda found: found.modified_at)
    found = [pd.DataFrame({MODEL_VERSION: []})]
    for stored in reversed(objects[-_SEGMENTS:]):
        table = make_frame(upgrade_table(pq.read_table(io.BytesIO(store.get_bytes(stored.key)))))
        found.append(table[table[MODEL_VERSION] == version])
        if sum(map(len, found)) >= _ROWS:
            break
    rows = pd.concat(found[1:] or found, ignore_index=True)
    return rows.sort_values(LOGGED_AT).tail(_ROWS) if len(rows) else rows


def _compare(candidate: ServedVersion, url: str, logged: pd.DataFrame) -> Iterator[Gate]:
    """Send the rows, and compare latency and outputs with the limits of the contract."""
    serving, count = candidate.problem.serving, len(logged)
    prefix = output_column("")
    columns = [name for name in logged.columns if name.startswith(prefix)]
    schema = RequestSchema.of(candidate.problem)
    address = EndpointAddress(
        Target(url), candidate.endpoint, schema, tuple(name.removeprefix(prefix) for name in columns)
    )
    try:
        answers = replay_v1(address, request_rows(schema, logged))
    except EndpointUnavailableError as error:
        yield limit_gate("shadow_errors", 1, 0, f"logged requests: {error}")
        return
    slow = float(np.percentile(answers.milliseconds, 99))
    limit = serving.p99_milliseconds
    words = f"{count} logged requests: 99 of 100 took at most {slow:.1f} ms (limit {limit:g})."
    yield limit_gate("shadow_p99_milliseconds", slow, limit, words)
    if count < serving.rollout.minimum_rows:
        return
    for position, name in enumerate(columns):
        psi = measure_output_psi(logged[name].to_numpy(), answers.output[:, position])
        limit = serving.rollout.maximum_score_psi
        words = (
            f"{count} logged requests: the PSI of {address.output_columns[position]} against the answers that users "
            f"got is {psi:.3g} (limit {limit:g})."
        )
        yield limit_gate("shadow_score_psi", psi, limit, words)
