"""Small documents of every step, in the shapes that the steps write, for the tests of the report."""

import json
from pathlib import Path

import numpy as np
import pandas as pd

from components.base.contract.load import load_problem
from components.base.dataset import Feature, Prepared, write_prepared
from components.base.text.figures import new_figure, render_svg
from components.tasks import open_task

ROOT = Path(__file__).parents[3]
AS_OF = "2013-07-01T00:00:00+00:00"
METRICS = ("average_precision", "roc_auc", "log_loss", "brier", "calibration_error", "f1")


def problem():
    return load_problem(ROOT / "pipelines" / "problems" / "flight-delays.yaml")


def task():
    return open_task(problem())


def interval(estimate, spread=0.1):
    return {"estimate": estimate, "low": estimate - spread, "high": estimate + spread}


def gain(estimate, spread=0.1):
    return interval(estimate, spread) | {"floor": estimate - spread * 0.8}


def outcomes(rows, late):
    return {"rows": rows, "mean": late / rows, "counts": {"late": late, "on time": rows - late}}


def contender(label, value, hits, false_alarms):
    """A contender on 2,000 rows, 500 of them late."""
    confusion = {"hits": hits, "false_alarms": false_alarms, "misses": 500 - hits,
                 "correct_rejections": 1500 - false_alarms}  # fmt: skip
    return {
        "label": label,
        "policy": {"kind": "threshold", "threshold": 0.41},
        "scores": {name: interval(0.5) for name in METRICS},
        "value_per_1000": interval(value, 1000),
        "value_total": value * 2,
        "actions": hits + false_alarms,
        "over_capacity": 12,
        "details": {
            "confusion": confusion,
            "calibration": [{"rows": 100, "mean_probability": p, "observed_rate": p} for p in (0.1, 0.5)],
            "precision_recall": [[0, 1], [1, 0.25]],
            "roc": [[0, 0], [0.2, 0.7], [1, 1]],
        },
    }


def evaluation(verdict="promote", champion=False):
    contenders = {
        "challenger": contender("hist_gradient_boosting", 61234.5, 300, 100),
        "current_solution": contender("carrier_hour_rule", 40000.0, 200, 200),
        "dummy": contender("prior", 0.0, 0, 0),
    }
    names = ["dummy", "current_solution"]
    if champion:
        contenders["champion"] = contender("random_forest", 60000.0, 280, 120)
        names.append("champion")
    return {
        "problem": "flight-delays", "metric": "average_precision", "higher_is_better": True, "currency": "USD",
        "seconds": 3.0,
        "opened": {"fingerprint": "ab12", "rows": 2000, "days": 28, "start": "2013-06-03T00:00:00+00:00",
                   "end": "2013-06-30T00:00:00+00:00", "outcome": outcomes(2000, 500), "earlier_openings": 0},
        "bootstrap": {"resamples": 1000, "unit": "day", "confidence": 0.95},
        "verdict": verdict, "reasons": ["Because of the gates."],
        "gates": [
            {"name": "beats_dummy", "verdict": "pass", "value": 0.2, "limit": 0.0, "reason": "It does."},
            {"name": "beats_current_solution", "verdict": "fail" if verdict == "refuse" else "pass", "value": 21234.5,
             "limit": 500.0, "reason": "It earns more."},
        ],
        "contenders": contenders,
        "comparisons": {name: {"primary": gain(0.1), "value_per_1000": gain(21234.5, 500)} for name in names},
        "champion": {"version": "2", "comparable": True, "reason": "Never saw the test rows."} if champion else None,
        "policy_curve": [], "value_by_day": {
            role: {f"2013-06-0{day}": value for day in (3, 4)}
            for role, value in (("challenger", 9.0), ("current_solution", 5.0))
        },
        "slices": [{"column": "origin", "group": "EWR", "rows": 900, "outcome": outcomes(900, 300),
                    "score": interval(0.5),
                    "reference": interval(0.4), "reference_name": "current_solution", "loss": interval(-0.1),
                    "limit": 0.03,
                    "verdict": "pass", "gated": True}],
        "weak_spots": [{"conditions": ["carrier is EV"], "p_value": 0.01, "adjusted_p_value": 0.05,
        "is_confirmed": False,
                          **{half: {"rows": 90, "mean_outcome": 0.4, "mean_output": 0.3, "advantage": 0.01}
                             for half in ("found", "confirmed")}}],
        "worst_cases": [{"kind": "missed", "output": [0.03], "outcome": 1, "key": {"carrier": "UA", "flight": 17},
                         "features": {"wind": 3.5, "carrier": None}}],
        "importance": [{"feature": "wind", "origin": "weather", "mean": 0.02, "std": 0.002}],
        "generalisation": {"cross_validated": 0.56, "test": interval(0.55), "gap": interval(0.01), "limit": 0.2},
        "fairness": [],
    }  # fmt: skip


def quality():
    return {
        "problem": "flight-delays", "as_of": AS_OF, "snapshot": "s3://tidemill/flight-delays/snapshots/ab12/",
        "rows": {"in": 12345, "accepted": 12340, "filtered": 3, "quarantined": 2},
        "verdict": "warn", "faults": [], "warnings": ["weather: the newest row is 50 hours old."],
        "sources": {"flights": {
            "description": "Departures", "kind": "events", "rows_in": 12345, "accepted": 12340, "filtered": 3,
            "quarantined": 2,
            "not_yet_available": 0, "drops": [{"key": "landing/flights/2013-01.csv", "period": "2013-01-01",
            "rows": 12345, "not_yet_available": 0}],
            "missing_months": [], "unknown_columns": [], "quarantine_ratio": 0.0002, "quarantine_limit": 0.05,
            "filters": [{"name": "duplicate_delivery", "reason": "The same row again", "rows": 3}],
            "problems": [{"check": "arr_delay.maximum", "column": "arr_delay", "rows": 2, "ratio": 0.0001,
                          "example": "arr_delay must be at most 2000 minutes, but got 2300", "drop": "x", "row": 17}],
            "freshness": None, "volume": None, "references": []}},
        "assumptions": [{"name": "base_rate", "statement": "Between 10 and 40 percent are late", "value": 0.24,
        "minimum": 0.1,
                         "maximum": 0.4, "holds": True, "on_violation": "stop", "words": "0.24 is within 0.1 to 0.4"}],
        "outcomes": {"source": "flights", "target": "late",
                     "totals": {"rows": 12340, "positive": 3000, "cancelled": 40, "diverted": 5},
                     "months": [{"month": "2013-01", "rows": 12340, "positive": 3000, "cancelled": 40, "diverted": 5}]},
    }  # fmt: skip


def dictionary():
    column = {"name": "arr_delay", "type": "float", "unit": "minutes", "description": "Arrival delay",
        "origin": "delivered",
              "expression": None, "nullable": True, "range": "-180 to 2000", "missing_ratio": 0.03, "distinct": 5,
              "minimum": -86.0, "mean": 6.9, "median": -5.0, "maximum": 1272.0, "top": [],
              "trend": [{"month": f"2013-0{m}", "mean": m, "missing_ratio": 0} for m in (1, 2, 3)]}  # fmt: skip
    return {
        "problem": "flight-delays",
        "sources": {
            "flights": {
                "description": "Departures",
                "kind": "events",
                "path": "flights/*.csv",
                "key": ["flight"],
                "rows": 12340,
                "columns": [column],
                "filters": [],
            }
        },
    }


def findings():
    finding = {"id": "outcome_over_time", "kind": "target", "severity": "warning",
        "headline": "24.0% of flights were late.",
               "detail": "Measured.", "picture": "outcome_over_time.svg", "alt": "A line.", "feature": None,
               "effect": 0.2}  # fmt: skip
    feature = {"name": "wind", "kind": "numeric", "origin": "weather", "description": "Wind speed",
        "unit": "miles per hour",
               "missing_ratio": 0.01, "strength": 0.02, "solo_score": 0.6, "psi": 0.3, "low": 1.0, "median": 9.0,
               "high": 20.0,
               "groups": 40}  # fmt: skip
    outcome = {"rows": 9000, "mean": 0.24, "counts": {}}
    return {"problem": "flight-delays", "rows": 9000, "outcome": outcome, "start": "2013-01-01T00:00:00+00:00",
            "end": "2013-05-03T00:00:00+00:00", "findings": [finding],
            "features": [feature], "seconds": 1.0}  # fmt: skip


def leaderboard():
    entries = []
    for rank, (name, kind) in enumerate(
        [("logistic", "candidate"), ("carrier_hour_rule", "current_solution")], start=1
    ):
        scores = {metric: {"mean": 0.5, "std": 0.02, "folds": [0.48, 0.52]} for metric in METRICS}
        value = {"mean": 33210.0, "std": 1.0, "folds": [1.0, 2.0]}
        entries.append({"name": name, "kind": kind, "rank": rank, "chosen": rank == 1, "beats_baselines": rank == 1,
                        "scores": scores, "value_per_1000": value, "fit_seconds": 3.2, "error": None})  # fmt: skip
    entries.append({"name": "mlp", "kind": "candidate", "rank": 3, "chosen": False, "beats_baselines": False,
        "scores": {},
                    "value_per_1000": None, "fit_seconds": 9.0, "error": "ran out of time"})  # fmt: skip
    fold = {"fit_rows": 1000, "fit_until": "2013-02-01T00:00:00+00:00", "score_from": "2013-02-02T00:00:00+00:00",
            "score_until": "2013-03-01T00:00:00+00:00", "score_rows": 500, "outcome": outcomes(500, 100)}  # fmt: skip
    return {"problem": "flight-delays", "metric": "average_precision", "higher_is_better": True, "gap_hours": 24,
            "folds": [fold, fold], "entries": entries, "chosen": ["logistic"], "note": "The best.",
            "seconds": 9.0}  # fmt: skip


def tuned():
    trials = [{"number": n, "parameters": {"C": 0.1}, "score": 0.5 + n / 100, "folds": [0.5], "state": "complete",
               "reason": None} for n in range(3)]  # fmt: skip
    score = {"mean": 0.52, "std": 0.01, "folds": [0.5]}
    family = {"family": "logistic", "parameters": {"C": 0.1}, "score": score, "default_score": score,
              "trials": trials, "rows": 5000, "seconds": 12.5}  # fmt: skip
    return {"problem": "flight-delays", "metric": "average_precision", "higher_is_better": True, "trials": 3,
            "ceiling_seconds": 900.0, "families": [family]}  # fmt: skip


def model():
    point = {
        "threshold": 0.41,
        "actions": 40,
        "over_capacity": 0,
        "precision": 0.7,
        "recall": 0.2,
        "value_per_1000": 5.0,
    }
    details = {
        "metric": "average_precision", "train_rows": 9000, "parameters": {}, "reason": "It is the simplest.",
        "cross_validated": {"score": 0.56, "low": 0.5, "high": 0.6, "rows": 4000}, "seconds": 3.0,
        "comparison": [{"kind": "single", "families": ["logistic"], "score": 0.56, "behind_best": 0.0,
        "standard_error": 0.003,
                        "chosen": True}],
        "calibration": {"method": "sigmoid", "rows": 10, "checked_rows": 10, "log_loss": {"none": 0.5, "sigmoid": 0.4},
        "reason": "Lowest loss."},
        "policy": {"rows": 800, "break_even": 0.286, "chosen": point, "curve": [{**point, "threshold": 0.1}, point]},
    }  # fmt: skip
    wind = {"name": "wind", "kind": "numeric", "origin": "weather", "description": "Wind"}
    return {"policy": {"kind": "threshold", "threshold": 0.41}, "features": [wind], "target": "late",
            "family": "logistic", "kind": "single",
            "calibration": "sigmoid", "details": details}  # fmt: skip


def release(version="3"):
    return {"problem": "flight-delays", "verdict": "promote", "reasons": ["Because of the gates."], "version": version,
            "aliases": ["challenger"] if version else [], "champion": None, "run_id": "run-1", "mlflow_run": "m1",
            "model_uri": None, "storage_uri": "s3://bucket/model", "as_of": AS_OF, "family": "logistic",
            "kind": "single",
            "feature_service": "flight_delays", "fingerprints": {"contract": "c0ffee"}, "golden_rows": 200,
            "registered_at": AS_OF}  # fmt: skip


def refit(is_refitted=True):
    shifts = [{"rows": 1000, "psi": 0.01, "flipped_ratio": 0.02, "loss_gain": 0.001}] * 2
    golden = {"rows": 200, "mean_difference": 0.01, "flipped": 4}
    if is_refitted:
        return {"is_refitted": True, "rows": 13500, "until": AS_OF, "shifts": shifts, "golden": golden,
                "reason": "Fitted once more on all rows."}  # fmt: skip
    return {"is_refitted": False, "rows": 11500, "until": "2013-06-02T00:00:00+00:00", "shifts": shifts, "golden": None,
            "reason": "The judged model is served, for 40% would flip."}  # fmt: skip


def deployment(outcome="promoted"):
    replay = {"rows": 200, "v1_difference": 0.0, "v2_difference": 1e-17, "different_decisions": 0,
        "positive_decisions": 3,
              "p50_milliseconds": 2.9, "p99_milliseconds": 6.0, "passes": 1, "ready_seconds": 3.1,
              "missing_features": {"wind": 4}}  # fmt: skip
    gate = {
        "name": "v1_difference",
        "value": 0.0,
        "limit": 1e-9,
        "verdict": "pass" if outcome == "promoted" else "fail",
        "reason": "V1 is compared.",
    }
    kept = outcome == "kept"
    return {"problem": "flight-delays", "endpoint": "flight-delays", "outcome": outcome, "candidate": "3",
            "champion": "3" if outcome == "promoted" else None, "previous": None, "reasons": ["As the gates said."],
            "smoke_test": None if kept else {"gates": [gate], "replay": replay, "skew": []}, "rollout": [],
            "inference_service": None, "deployed_at": AS_OF}  # fmt: skip


def write_places(folder, documents):
    """Write the documents where the steps would; return the place of each artifact."""
    files = {"quality": "accepted/quality.json", "dictionary": "accepted/dictionary.json",
        "findings": "profile/findings.json",
             "leaderboard": "leaderboard", "tuned": "tuned", "model": "model/model.json",
             "evaluation": "evaluation/evaluation.json", "release": "release/release.json",
             "refit": "served/refit.json",
             "deployment": "deployment/deployment.json"}  # fmt: skip
    for name, document in documents.items():
        path = folder / files[name]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(document))
    places = {file.split("/")[0]: folder / file.split("/")[0] for file in files.values()}
    if "findings" in documents:
        for finding in documents["findings"]["findings"]:
            picture = render_svg(new_figure()[0], finding["alt"])
            (places["profile"] / finding["picture"]).write_text(picture)
    if "evaluation" in documents:
        write_predictions(places["evaluation"])
    return {**places, "prepared": write_rows(folder / "prepared")}


def write_predictions(folder):
    moments = pd.to_datetime(pd.Series(["2013-06-03T10:00:00Z", "2013-06-04T10:00:00Z"] * 10)).astype(
        "datetime64[us, UTC]"
    )
    scores = np.linspace(0, 1, 20)
    table = pd.DataFrame({"predicted_at": moments, "late": (scores > 0.5).astype("int8"),
                          "challenger__probability": scores,
                          "current_solution__probability": scores[::-1]})  # fmt: skip
    table.to_parquet(folder / "predictions.parquet", index=False)


def write_rows(folder):
    folder.mkdir(parents=True, exist_ok=True)
    edges = ["2013-01-01", "2013-05-04", "2013-05-05", "2013-06-02", "2013-06-03", "2013-07-01"]
    names = [f"{role}_{end}" for role in ("train", "validation", "test") for end in ("start", "end")]
    limits = {name: f"{edge}T00:00:00+00:00" for name, edge in zip(names, edges, strict=True)}
    rows = {"train": 9000, "validation": 2500, "test": 2000, "gap": 100}
    write_prepared(Prepared(folder, "late", (Feature("wind", "numeric", "weather", "Wind"),), limits, rows, "f00d"))
    return folder


def all_documents(**changed):
    return {"quality": quality(), "dictionary": dictionary(), "findings": findings(), "leaderboard": leaderboard(),
            "tuned": tuned(), "model": model(), "evaluation": evaluation(), "release": release(), "refit": refit(),
            "deployment": deployment(),
            **changed}  # fmt: skip
