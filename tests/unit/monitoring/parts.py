"""The parts of a monitoring result, with numbers of the size that flight delays have; see `monitoring_documents`."""

import math
from datetime import UTC, datetime, timedelta
from pathlib import Path

from components.base.contract.load import load_problem
from components.monitoring import results as doc

ROOT = Path(__file__).parents[3]
CAPACITY_USED = 0.93
# Features of the model: name, source, kind, importance, shift in a quiet month.
FEATURES = (
    ("scheduled_hour", "request", "numeric", 0.52, 0.004),
    ("origin_late_ratio_3h", "origin_delays", "numeric", 0.11, 0.06),
    ("aircraft_last_arrival_delay", "aircraft_state", "numeric", 0.09, 0.08),
    ("origin_departure_delay_24h", "origin_delays", "numeric", 0.08, 0.11),
    ("weather_pressure_change_6h", "origin_weather", "numeric", 0.06, 0.03),
    ("carrier", "request", "categorical", 0.05, 0.01),
    ("carrier_late_ratio_24h", "carrier_delays", "numeric", 0.04, 0.09),
    ("plane_seats", "plane_profile", "numeric", 0.03, 0.02),
    ("weather_temp", "origin_weather", "numeric", 0.02, 0.31),
)
VIEWS = (
    ("aircraft_state", 604_800.0, 14_400.0, 151_200.0, 0.004, 0.021),
    ("carrier_delays", 86_400.0, 1_800.0, 3_500.0, 0.0, 0.0),
    ("origin_delays", 86_400.0, 1_750.0, 3_400.0, 0.0, 0.0),
    ("origin_weather", 21_600.0, 1_900.0, 3_700.0, 0.002, 0.0),
    ("plane_profile", None, 5_184_000.0, 9_000_000.0, 0.0, 0.163),
)


def problem():
    return load_problem(ROOT / "pipelines" / "problems" / "flight-delays.yaml")


def estimate(value, spread):
    return doc.Estimate(estimate=value, low=value - spread, high=value + spread)


def month(number):
    return datetime(2013 + (number - 1) // 12, (number - 1) % 12 + 1, 1, tzinfo=UTC)


def traffic(start, end, rows, version):
    days = (end - start).days
    by_day = []
    for place in range(days):
        share = round(rows / days * (1 + 0.12 * math.sin(place * 0.9)))
        day = f"{start + timedelta(days=place):%Y-%m-%d}"
        by_day.append(
            doc.DayTraffic(day=day, rows=share, actions=round(share * 0.3), mean_output=0.24 + 0.02 * (place % 5))
        )
    actions = round(288 * days * CAPACITY_USED)
    return doc.Traffic(
        rows=rows, repeated_rows=17, versions={version: rows}, actions=actions, mean_output=0.247, by_day=by_day
    )


def feature(entry, factor=1.0, **changed):
    name, source, kind, importance, shift = entry
    shifted = shift * factor
    told = {
        "name": name,
        "source": source,
        "kind": kind,
        "importance_ratio": importance,
        "psi": shifted,
        "psi_limit": 0.25,
        "jensen_shannon": math.sqrt(shifted) / 3,
        "wasserstein": shifted * 1.4 if kind == "numeric" else None,
        "missing_ratio": 0.012,
        "reference_missing_ratio": 0.011,
        "unseen_ratio": 0.0004 if kind == "categorical" else 0.0,
        "out_of_range_ratio": 0.0,
        "drifts": shifted > 0.25,
        "matters": shifted > 0.25 and importance >= 0.05,
    }
    return doc.FeatureState(**told | changed)


def drift(features):
    relevant = [one for one in features if one.importance_ratio >= 0.05 and one.psi is not None]
    greatest = max(relevant, key=lambda one: one.psi)
    return doc.Drift(
        weighted_psi=sum(one.psi * one.importance_ratio for one in features),
        greatest_relevant_psi=greatest.psi / 0.25,
        feature=greatest.name,
        prediction_psi=0.031,
        prediction_psi_limit=0.25,
        shift_days=30,
    )


def labels(rows, overdue):
    due = rows - 900
    by_age = tuple(
        doc.AgeCoverage(age_days=age, rows=880 + age, labelled=0 if age == 0 else 700 if age == 1 else 875 + age)
        for age in range(10)
    )
    return doc.Labels(
        rows=rows,
        due=due,
        labelled=due - overdue,
        coverage_ratio=(due - overdue) / due,
        overdue=overdue,
        lag_hours_median=3.4,
        lag_hours_p95=7.1,
        by_age=by_age,
        changed=3,
        new_since_training=rows + 20_113,
    )


def performance(rows, auc, estimated):
    return doc.Performance(
        rows=rows,
        mean_outcome=0.213,
        scores={
            "roc_auc": estimate(auc, 0.021),
            "average_precision": estimate(auc - 0.24, 0.034),
            "brier": estimate(0.151, 0.006),
        },
        at_release={"roc_auc": 0.731, "average_precision": 0.512, "brier": 0.148},
        limit_metric="roc_auc",
        limit=0.62,
        is_below_limit=auc + 0.021 < 0.62,
        slices=tuple(
            doc.SliceScore(
                column=column,
                value=value,
                rows=int(rows * share),
                score=estimate(auc - 0.24 + move, 0.05),
                at_release=0.5 + move,
            )
            for column, value, share, move in (
                ("origin", "EWR", 0.36, 0.01),
                ("origin", "JFK", 0.33, 0.02),
                ("origin", "LGA", 0.31, -0.03),
                ("carrier", "UA", 0.18, 0.015),
                ("carrier", "B6", 0.16, -0.021),
            )
        ),
        estimated=(
            doc.EstimatedPerformance(metric="roc_auc", rows=900, score=estimated, on_labelled=estimated + 0.003),
            doc.EstimatedPerformance(
                metric="average_precision", rows=900, score=estimated - 0.22, on_labelled=estimated - 0.225
            ),
        ),
    )


def contender(label, rows, actions, per_1000, gain, right):
    return doc.ContenderValue(
        label=label,
        rows=rows,
        actions=actions,
        right_actions=round(actions * right),
        total=per_1000 * rows / 1000,
        per_1000=estimate(per_1000, 9_000),
        gain_of_served_per_1000=None if gain is None else estimate(gain, 4_300),
    )


def value(rows, actions, served, current, previous):
    contenders = {
        "served": contender("hist_gradient_boosting", rows, actions, served, None, 0.55),
        "current_solution": contender("carrier_hour_rule", rows, actions - 114, current, served - current, 0.47),
    }
    # Nobody acts, and nothing is earned.
    contenders["no_action"] = contender("no action", rows, 0, 0, served, 0)
    if previous is not None:
        contenders["previous"] = contender("logistic", rows, actions - 40, previous, served - previous, 0.51)
    below = min(served - current, served) + 4_300 < 0
    return doc.Value(currency="USD", contenders=contenders, limit_per_1000=0, is_below_limit=below)


def window(number, version="1", factor=1.0, auc=0.728, earned=(30_000, 38_400), **changed):
    """Return the result of the month before the first of month `number`.

    Of `earned` the first is what the current solution earned per 1,000 flights, the second what was served.
    """
    current, served = earned
    start, end = month(number - 1), month(number)
    rows = 26_000 + 311 * number
    features = tuple(feature(entry, factor) for entry in FEATURES)
    labelled = rows - 900 - 152
    told = {
        "problem": "flight-delays",
        "as_of": end,
        "window": doc.Window(start=start, end=end),
        "computed_at": datetime(2026, 11, 24, 9, number, tzinfo=UTC),
        "seconds": 7.3,
        "model_version": version,
        "model_rows": rows,
        "previous_version": None if version == "1" else "1",
        "traffic": traffic(start, end, rows, version),
        "features": features,
        "drift": drift(features),
        "views": tuple(
            doc.ViewAge(
                view=view,
                ttl_seconds=ttl,
                median_seconds=median,
                p95_seconds=p95,
                expired_ratio=old,
                unknown_ratio=un,
                reference_missing_ratio=un,
            )
            for view, ttl, median, p95, old, un in VIEWS
        ),
        "skew": doc.Skew(
            rows=2_000,
            different_ratio=0.0007,
            features=(
                doc.FeatureSkew(
                    name="origin_late_ratio_3h", rows=2_000, different_ratio=0.0061, mean_absolute_difference=0.0004
                ),
                doc.FeatureSkew(name="carrier", rows=2_000, different_ratio=0.0, mean_absolute_difference=None),
            ),
        ),
        "labels": labels(rows, 152),
        "performance": performance(labelled, auc, 0.729),
        "value": value(labelled, 8_210, served, current, None if version == "1" else current + 2_900),
        "findings": (),
    }
    return doc.MonitoringResult(**told | changed)


def finding(severity="note", topic="traffic", title="Some rows came again", text="17 rows were replays.", action="-"):
    return doc.WindowFinding(severity=severity, topic=topic, title=title, text=text, action=action)
