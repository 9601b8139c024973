"""The dashboard of the endpoint: rate, errors, latency, saturation, what is answered and what is recorded.

In: nothing. Out: a `Board`. Called by `dashboards.list_boards`.
"""

from components.alerting.grafana.types import (
    INTERVAL,
    Board,
    Panel,
    Query,
    Row,
    contract,
    own,
    per_second,
    quantile,
)

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


def serving_board() -> Board:
    """Return the dashboard `serving`."""
    return Board(
        name="serving",
        title="Tidemill / Serving",
        description="Does the endpoint keep its objectives, and what does it answer?",
        rows=(_traffic(), _latency(), _saturation(), _answers(), _log()),
    )


def _traffic() -> Row:
    return Row(
        "Rate and errors",
        (
            Panel(
                "Requests",
                "Prediction requests a second by HTTP status.",
                "reqps",
                (Query(per_second(_REQUESTS, "code"), "{{code}}"),),
                width=8,
            ),
            Panel(
                "Server errors",
                "Share of requests that end with a server error. Above the line the error budget shrinks too fast.",
                "percentunit",
                (Query(f"({_ERRORS} or {_ALL} * 0) / {_ALL}", "errors"),),
                limit=f"1 - {contract('monitoring.objectives.availability')}",
                width=8,
            ),
            Panel(
                "Error budget left",
                "Share of the 30 days' error budget that is left; below zero the objective is missed. "
                "Prometheus must keep 30 days.",
                "percentunit",
                (Query(f"1 - ({_SPENT}) / {_BUDGET}", "left"),),
                bad_below=0,
                kind="stat",
                width=8,
            ),
        ),
    )


def _latency() -> Row:
    return Row(
        "Latency",
        (
            Panel(
                "Time of a request",
                "From the request's headers to its answer. The 99th percentile belongs below the contract's p99.",
                "s",
                tuple(Query(quantile(level, _SECONDS), f"p{level * 100:.0f}") for level in (0.5, 0.9, 0.99)),
                limit=f"{contract('serving.p99_milliseconds')} / 1000",
            ),
            Panel(
                "Where the time goes",
                "The slowest hundredth of feature lookups, which ask the online store, and of KServe's predict step.",
                "s",
                (
                    Query(quantile(0.99, "tidemill_predictor_lookup_seconds"), "lookup p99"),
                    Query(quantile(0.99, "request_predict_seconds"), "predict p99"),
                ),
            ),
        ),
    )


def _saturation() -> Row:
    return Row(
        "Saturation",
        (
            Panel(
                "Replicas",
                "Replicas that answer Prometheus. Below the line the contract's fewest are not met.",
                "short",
                (Query(f"sum by (problem) ({own('up', job='tidemill-predictor')})", "up"),),
                limit=contract("serving.minimum_replicas"),
                width=6,
            ),
            Panel(
                "Requests in flight",
                "Requests that are being answered. One that grows without more traffic is a queue.",
                "short",
                (Query(f"sum by (problem) ({own('tidemill_predictor_in_flight_requests')})", "in flight"),),
                width=6,
            ),
            Panel(
                "Processor",
                "Cores in use by the predictor. One worker a process: scale by replicas.",
                "short",
                (Query(per_second("process_cpu_seconds_total", "instance", job="tidemill-predictor"), "{{instance}}"),),
                width=6,
            ),
            Panel(
                "Memory",
                "Resident memory of the predictor.",
                "bytes",
                (Query(own("process_resident_memory_bytes", job="tidemill-predictor"), "{{instance}}"),),
                width=6,
            ),
        ),
    )


def _answers() -> Row:
    return Row(
        "What is answered",
        (
            Panel(
                "Predicted probability",
                "Quantiles of the probabilities. They move with the season; a jump at a release is a new calibration.",
                "percentunit",
                tuple(
                    Query(quantile(level, "tidemill_predictor_probability"), f"p{level * 100:.0f}")
                    for level in (0.1, 0.5, 0.9)
                ),
            ),
            Panel(
                "Decisions",
                "Rows a second by decision, before the capacity.",
                "short",
                (Query(per_second("tidemill_predictor_decisions_total", "decision"), "{{decision}}"),),
            ),
            _missing(),
            Panel(
                "Lookups without a fresh value",
                "Rows a second whose entity is unknown to the online store, or whose values are expired, by view.",
                "short",
                (
                    Query(per_second("tidemill_predictor_lookup_misses_total", "view"), "{{view}} unknown"),
                    Query(per_second("tidemill_predictor_lookup_expired_total", "view"), "{{view}} expired"),
                ),
            ),
            Panel(
                "Model that serves",
                "1 for each version that answers; two of them are a rollout.",
                "short",
                (
                    Query(
                        f"count by (model_version) ({own('tidemill_predictor_model_info')})",
                        "version {{model_version}}",
                    ),
                ),
                width=24,
            ),
        ),
    )


def _missing() -> Panel:
    return Panel(
        "Features served as missing",
        "Share of the rows that were predicted without the feature, the ten worst.",
        "percentunit",
        (
            Query(
                f"topk(10, {per_second('tidemill_predictor_missing_features_total', 'feature')}"
                f" / on () group_left () {per_second('tidemill_predictor_rows_total', 'problem')})",
                "{{feature}}",
            ),
        ),
    )


def _log() -> Row:
    return Row(
        "Prediction log",
        (
            Panel(
                "Rows of the log",
                "Rows a second by what became of them. Dropped rows are lost for monitoring.",
                "short",
                (Query(per_second("tidemill_prediction_log_rows_total", "outcome"), "{{outcome}}"),),
                width=8,
            ),
            Panel(
                "Rows in the queue",
                "Rows that wait for the local disk. A full queue drops.",
                "short",
                (Query(f"sum by (problem) ({own('tidemill_prediction_log_queue_rows')})", "queued"),),
                width=8,
            ),
            Panel(
                "Bytes in the spool",
                "Bytes on the local disk that wait for the object store. They grow while the store is away.",
                "bytes",
                (Query(f"sum by (problem) ({own('tidemill_prediction_log_spool_bytes')})", "spooled"),),
                width=8,
            ),
        ),
    )
