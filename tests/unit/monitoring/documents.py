"""Monitoring results of eight windows of one problem, in the shape that the monitor writes, for the tests of the pages.

The story: four healthy months, a stale view, a change of concept, a window with too few rows, a new model in charge.
"""

from components.governor.rule import TrainingRun
from components.governor.rulings import RulingRecord
from components.monitoring import results as doc
from tests.unit.monitoring.parts import FEATURES, drift, feature, finding, problem, window

__all__ = ["problem", "window"]


def healthy():
    """Return four quiet months, oldest first."""
    return [
        window(8, factor=0.9),
        window(9, factor=1.1, auc=0.719, earned=(30_000, 36_900)),
        window(10, factor=1.3, auc=0.722, earned=(22_100, 29_800)),
        window(11, factor=1.5, auc=0.716, earned=(24_000, 30_900), findings=(finding(),)),
    ]


def stale_view():
    """Return a month in which a feed stopped: values are too old, and so served as missing."""
    quiet = window(12, factor=1.4, auc=0.701, earned=(27_000, 29_100))
    views = [
        one
        if one.view != "origin_delays"
        else one.model_copy(update={"p95_seconds": 401_000.0, "expired_ratio": 0.418})
        for one in quiet.views
    ]
    features = tuple(
        feature(entry, 1.4, missing_ratio=0.421, psi=0.87, drifts=True, matters=True)
        if entry[1] == "origin_delays"
        else feature(entry, 1.4)
        for entry in FEATURES
    )
    findings = (
        finding(
            "critical",
            "features",
            "Values of origin_delays are too old",
            "41.8% of 29,732 rows had values older than 1 day; 5.0% are allowed.",
            "Start `make refresh`, then look at the runbook FeaturesStale.",
        ),
        finding(
            "warning",
            "drift",
            "origin_departure_delay_24h drifts, and the model leans on it",
            "Its shift is 0.870 where 0.250 is allowed; 42.1% of values are missing.",
            "The stale view explains it; nothing is retrained for it.",
        ),
    )
    changed = {"views": tuple(views), "features": features, "drift": drift(features), "findings": findings}
    return quiet.model_copy(update=changed)


def concept_shift():
    """Return a month whose inputs look as ever while the labels have moved."""
    findings = (
        finding(
            "critical",
            "performance",
            "The ranking is below its limit",
            "roc_auc is 0.561 (0.540 to 0.582) on 27,991 labelled rows; 0.62 is the limit.",
            "The governor has been told: PerformanceBelowLimit.",
        ),
        finding(
            "critical",
            "value",
            "The decisions earn less than the current solution",
            "They earn 9,700 USD less per 1,000 flights (5,400 to 14,000 less).",
            "The governor has been told: ValueBelowLimit.",
        ),
    )
    return window(13, factor=1.2, auc=0.561, earned=(28_000, 18_300), findings=findings)


def too_few():
    """Return a window in which nothing can be judged: every number that may be unknown is."""
    return too_few_like(window(14, version="2"))


def too_few_like(result):
    """Take from a result everything that may be unknown."""
    none = {"psi": None, "psi_limit": None, "jensen_shannon": None, "wasserstein": None}
    features = tuple(one.model_copy(update=none | {"drifts": False, "matters": False}) for one in result.features)
    nothing = {"coverage_ratio": None, "lag_hours_median": None, "lag_hours_p95": None}
    empty = {"rows": 12, "due": 0, "labelled": 0, "overdue": 0, "by_age": (), "changed": 0, "new_since_training": 0}
    quiet = {"rows": 12, "repeated_rows": 0, "versions": {}, "actions": 0, "mean_output": None, "by_day": ()}
    return result.model_copy(
        update={
            "model_rows": 12,
            "previous_version": None,
            "traffic": result.traffic.model_copy(update=quiet),
            "features": features,
            "drift": doc.Drift(
                weighted_psi=None,
                greatest_relevant_psi=None,
                feature=None,
                prediction_psi=None,
                prediction_psi_limit=None,
            ),
            "views": tuple(
                one.model_copy(update={"median_seconds": None, "p95_seconds": None}) for one in result.views
            ),
            "skew": None,
            "labels": result.labels.model_copy(update=nothing | empty),
            "performance": None,
            "value": None,
            "findings": (
                finding(
                    "warning",
                    "traffic",
                    "Too few rows to judge",
                    "12 rows were predicted; 500 are needed.",
                    "Look whether the endpoint is asked at all.",
                ),
            ),
        }
    )


def recovered():
    """Return a month with a new model in charge."""
    return window(15, version="2", factor=0.5, auc=0.724, earned=(26_400, 35_000))


def story():
    """Return all windows, oldest first."""
    return [*healthy(), stale_view(), concept_shift(), too_few(), recovered()]


def ruling(number, at, **fields):
    """Return what the governor publishes of an alert."""
    received = {"starts_at": at, "opened_at": at, "received_at": at, "is_firing": True, "repeats": 0}
    rest = {"cleared_at": None, "decided_at": at, "note": None, "run": None, "fingerprint": str(number)}
    return RulingRecord(**{"id": number, "problem": "flight-delays", "cause": "alert", **received, **rest, **fields})


def rulings():
    """Return the rulings of the governor, the newest first."""
    run = TrainingRun(
        key="flight-delays-2014-01-01-7", episode_id=1, problem="flight-delays", state="promoted",
        as_of="2014-01-01T00:00:00+00:00", planned_at="2026-11-24T09:13:05+00:00",
    )  # fmt: skip
    held = "Run 7 is in flight since 1 January 2014, 06:12 UTC. The governor checks again at every pass while it fires."
    ran = "PerformanceBelowLimit fires. 48,231 new labels have arrived, 20,000 are required."
    held = {"name": "ValueBelowLimit", "choice": "hold", "reason": "run_in_flight", "words": held}
    ran = {"name": "PerformanceBelowLimit", "choice": "run", "reason": "worth_it", "words": ran, "run": run}
    return [ruling(2, "2026-11-24T09:13:20+00:00", **held), ruling(1, "2026-11-24T09:13:05+00:00", **ran)]
