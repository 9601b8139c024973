"""The dashboard of the endpoint: rate, errors, latency, saturation, answers and the prediction log.

In: nothing. Out: a `Board`. Called by `dashboards.list_boards`.
"""

from components.alerting.grafana.board import (
    INTERVAL,
    Board,
    Query,
    Row,
    contract,
    own,
    per_second,
    quantile,
    series,
    stat,
    total,
)
from components.alerting.promql import PREDICTOR_JOB

_REQUESTS = "tidemill_predictor_requests_total"
_SECONDS = "tidemill_predictor_request_seconds"
_ERRORS = f'sum by (problem) (rate({_REQUESTS}{{problem="$problem",code=~"5.."}}[{INTERVAL}]))'
_ALL = per_second(_REQUESTS, "problem")
_BUDGET = f"(1 - {contract('monitoring.objectives.availability')})"
_ALL_OF_MONTH = f"sum by (problem) (increase({own(_REQUESTS)}[30d]))"
_SPENT = (
    f'(sum by (problem) (increase({_REQUESTS}{{problem="$problem",code=~"5.."}}[30d])) or {_ALL_OF_MONTH} * 0)'
    f" / {_ALL_OF_MONTH}"
)
_MISSING = (
    f"{per_second('tidemill_predictor_missing_features_total', 'feature')}"
    f" / on () group_left () {per_second('tidemill_predictor_rows_total', 'problem')}"
)


def _quantiles(histogram: str, *levels: float) -> list[Query]:
    return [Query(quantile(level, histogram), f"p{level * 100:.0f}") for level in levels]


_TRAFFIC = Row(
    "Rate and errors",
    (
        series("Requests", Query(per_second(_REQUESTS, "code"), "{{code}}"), unit="reqps", width=8).explain(
            "Prediction requests a second by HTTP status."
        ),
        series(
            "Server errors",
            Query(f"({_ERRORS} or {_ALL} * 0) / {_ALL}", "errors"),
            unit="percentunit",
            limit=f"1 - {contract('monitoring.objectives.availability')}",
            width=8,
        ).explain("Share of requests that end with a server error. Above the line the error budget shrinks too fast."),
        stat(
            "Error budget left",
            Query(f"1 - ({_SPENT}) / {_BUDGET}", "left"),
            unit="percentunit",
            bad_below=0,
            width=8,
        ).explain(
            "Rest of the error budget of 30 days; below zero the objective is missed. Prometheus must keep 30 days."
        ),
    ),
)
_LOOKUP = Query(quantile(0.99, "tidemill_predictor_lookup_seconds"), "lookup p99")
_PREDICT = Query(quantile(0.99, "request_predict_seconds"), "predict p99")
_P99 = f"{contract('serving.p99_milliseconds')} / 1000"
_LATENCY = Row(
    "Latency",
    (
        series("Time of a request", *_quantiles(_SECONDS, 0.5, 0.9, 0.99), unit="s", limit=_P99).explain(
            "From the headers of the request to its answer. The 99th percentile must be below the contract's p99."
        ),
        series("Time by step", _LOOKUP, _PREDICT, unit="s").explain(
            "99th percentile of the lookups in the online store, and of KServe's predict step."
        ),
    ),
)
_PROCESSOR = per_second("process_cpu_seconds_total", "instance", job=PREDICTOR_JOB)
_MEMORY = own("process_resident_memory_bytes", job=PREDICTOR_JOB)
_SATURATION = Row(
    "Saturation",
    (
        series(
            "Replicas", total("up", "up", job=PREDICTOR_JOB), limit=contract("serving.minimum_replicas"), width=6
        ).explain("Replicas that answer Prometheus. The line is the contract's minimum."),
        series("Requests in flight", total("tidemill_predictor_in_flight_requests", "in flight"), width=6).explain(
            "Requests without an answer yet. A rise without more traffic is a queue."
        ),
        series("Processor", Query(_PROCESSOR, "{{instance}}"), width=6).explain(
            "Cores in use by the predictor. A process has one worker: scale by replicas."
        ),
        series("Memory", Query(_MEMORY, "{{instance}}"), unit="bytes", width=6).explain(
            "Resident memory of the predictor."
        ),
    ),
)
_PROBABILITIES = _quantiles("tidemill_predictor_probability", 0.1, 0.5, 0.9)
_PREDICTIONS = _quantiles("tidemill_predictor_prediction", 0.1, 0.5, 0.9)
_DECISIONS = Query(per_second("tidemill_predictor_decisions_total", "decision"), "{{decision}}")
_UNKNOWN = Query(per_second("tidemill_predictor_lookup_misses_total", "view"), "{{view}} unknown")
_EXPIRED = Query(per_second("tidemill_predictor_lookup_expired_total", "view"), "{{view}} expired")
_VERSIONS = f"count by (model_version) ({own('tidemill_predictor_model_info')})"
_ANSWERS = Row(
    "Answers",
    (
        series("Predicted probability", *_PROBABILITIES, unit="percentunit", width=8).explain(
            "Quantiles of the probabilities. They follow the season; a jump at a release is a new calibration."
        ),
        series("Prediction", *_PREDICTIONS, width=8).explain(
            "Quantiles of the predictions of a regression, in the unit of its outcome; empty for other problems."
        ),
        series("Decisions", _DECISIONS, width=8).explain("Rows a second by decision, before the capacity."),
        series("Features served as missing", Query(f"topk(10, {_MISSING})", "{{feature}}"), unit="percentunit").explain(
            "Share of rows that were predicted without the feature, the ten largest."
        ),
        series("Lookups without a fresh value", _UNKNOWN, _EXPIRED).explain(
            "Rows a second with an entity that the online store does not know, or with expired values, by view."
        ),
        series("Serving versions", Query(_VERSIONS, "version {{model_version}}"), width=24).explain(
            "The number of replicas of each version that answers; two versions are a rollout."
        ),
    ),
)
_ROWS = Query(per_second("tidemill_prediction_log_rows_total", "outcome"), "{{outcome}}")
_LOG = Row(
    "Prediction log",
    (
        series("Rows of the log", _ROWS, width=8).explain(
            "Rows a second by outcome. Dropped rows are lost for monitoring."
        ),
        series("Rows in the queue", total("tidemill_prediction_log_queue_rows", "queued"), width=8).explain(
            "Rows that wait for the local disk. A full queue drops rows."
        ),
        series(
            "Bytes in the spool", total("tidemill_prediction_log_spool_bytes", "spooled"), unit="bytes", width=8
        ).explain("Bytes on the local disk that wait for the object store. They grow while it is out of reach."),
    ),
)
SERVING_BOARD = Board(
    name="serving",
    title="Tidemill / Serving",
    description="Does the endpoint meet its objectives, and what does it answer?",
    rows=(_TRAFFIC, _LATENCY, _SATURATION, _ANSWERS, _LOG),
)
