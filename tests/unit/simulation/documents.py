"""A loop of eight months with four incidents, for the tests and the look of the timeline."""

from datetime import UTC, datetime

from pipelines.simulation.timeline import Link, Timeline, TimelineEvent, TimelineMonth

# Rows, drift, score, frozen score, earned, earned by the frozen model and by the current solution, in thousands.
_MONTHS = (
    (29_308, 0.41, 0.728, 0.728, 1_031, 1_031, 811),
    (27_422, 0.93, 0.719, 0.719, 962, 962, 790),
    (28_861, 2.40, 0.701, 0.701, 712, 712, 688),
    (27_105, 0.77, 0.561, 0.561, 402, 402, 655),
    (28_120, 0.52, 0.714, 0.572, 870, 431, 640),
    (24_921, 0.61, 0.722, 0.569, 901, 402, 622),
    (28_801, 0.48, 0.717, 0.575, 921, 466, 701),
    (28_330, 0.66, 0.711, 0.571, 888, 431, 690),
)


def moment(number, day=1):
    return datetime(2013 + (number - 1) // 12, (number - 1) % 12 + 1, day, tzinfo=UTC)


def month(place, told):
    rows, drift, score, frozen, value, frozen_value, current = told
    number = place + 7
    return TimelineMonth(
        start=moment(number),
        end=moment(number + 1),
        rows=rows,
        model_version="1" if place < 4 else "2",
        drift=drift,
        drift_feature="origin_departure_delay_24h",
        harmless=("weather_temp",) if place == 1 else (),
        score=score,
        score_low=score - 0.02,
        score_high=score + 0.02,
        score_limit=0.62,
        estimated_score=0.725,
        frozen_score=frozen,
        value=value * 1000.0,
        frozen_value=frozen_value * 1000.0,
        current_value=current * 1000.0,
        label_coverage_ratio=0.994,
        links=(
            Link("daily", f"runs/flight-delays-monitoring-{place}/daily.html"),
            Link("KPI", f"runs/flight-delays-monitoring-{place}/kpi.html"),
        ),
    )


def events():
    return (
        TimelineEvent(
            moment(8), "injected", "harmless shift", "A feature of 2% importance moves by 30 degrees.", until=moment(9)
        ),
        TimelineEvent(
            moment(9), "injected", "broken feature feed", "origin_delays is not refreshed.", until=moment(9, 25)
        ),
        TimelineEvent(moment(10), "injected", "concept shift", "Carriers swap their habits.", until=moment(15)),
        TimelineEvent(
            moment(13, 10),
            "injected",
            "The model's processor is taken away",
            "Each answer waits 80 ms.",
            until=moment(13, 20),
        ),
        TimelineEvent(moment(10), "alert_fired", "FeaturesStale", "41.8% of rows are older than 1 day."),
        TimelineEvent(moment(10), "alert_fired", "DriftMatters", "2.40 times the limit."),
        TimelineEvent(moment(10), "ruling", "hold", "No new model helps against a broken feed."),
        TimelineEvent(moment(11), "alert_cleared", "FeaturesStale"),
        TimelineEvent(moment(11), "alert_cleared", "DriftMatters"),
        TimelineEvent(moment(11), "alert_fired", "PerformanceBelowLimit", "0.561 where 0.62 is the limit."),
        TimelineEvent(moment(11), "alert_fired", "ValueBelowLimit", "9,700 USD less per 1,000."),
        TimelineEvent(moment(11), "ruling", "run", "27,105 new labels have come, 20,000 are asked."),
        TimelineEvent(moment(11), "ruling", "hold", "Run 7 is in flight."),
        TimelineEvent(
            moment(11),
            "release",
            "version 2",
            "Promoted: it earns 16,100 USD more per 1,000 flights.",
            link="runs/flight-delays-2013-11-01/report.html",
        ),
        TimelineEvent(moment(12), "alert_cleared", "PerformanceBelowLimit"),
        TimelineEvent(moment(12), "alert_cleared", "ValueBelowLimit"),
        TimelineEvent(moment(13, 11), "alert_fired", "LatencyBudgetBurn", "3.1% of answers are slower than 50 ms."),
        TimelineEvent(moment(13, 21), "alert_cleared", "LatencyBudgetBurn"),
    )


def timeline(**changed):
    told = {
        "title": "Flight delays out of New York",
        "problem": "flight-delays",
        "noun": "flights",
        "currency": "USD",
        "metric": "roc_auc",
        "months": tuple(month(place, one) for place, one in enumerate(_MONTHS)),
        "events": events(),
        "links": (Link("all reports", "runs/index.html"),),
        "seconds": 402.0,
    }
    return Timeline(**(told | changed))


def empty_month():
    return TimelineMonth(start=moment(7), end=moment(8), rows=0, model_version="1")
