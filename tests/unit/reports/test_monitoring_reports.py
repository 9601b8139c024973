import json
import re
from dataclasses import replace
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.base.errors import DataError
from components.governor.rule import Choice, Reason
from components.monitoring import results as doc
from components.reports.daily.page import SECTIONS, render_daily
from components.reports.daily.pictures import Drawn, draw_daily
from components.reports.history import build_history
from components.reports.kpi.page import draw_kpi, render_kpi
from components.reports.kpi.words import format_ruling
from components.reports.write import write_reports
from components.tasks import open_task
from components.tasks.binary import report as binary_report
from tests.unit.monitoring import documents as docs
from tests.unit.monitoring import parts
from tests.unit.pages import assert_stands_alone, text_of

TASK = open_task(docs.problem())
HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'&"
NO_PICTURES = Drawn()
# Words that a business owner need not know.
TRADE = r"drift|features?|labels?|auc|threshold|probabilit\w+|intervals?|confidence|slices?|skew|champion|challenger|"
TRADE += r"precision|recall|metrics?|pipeline|bootstrap|psi|shift|training set|hyper\w+"


def daily_words(results, rulings=()):
    return text_of(render_daily(build_history(TASK, results, rulings), NO_PICTURES))


def kpi_words(results, rulings=()):
    return text_of(render_kpi(build_history(TASK, results, rulings), {}))


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The reports of the month in which the concept shifted."""
    folder = tmp_path_factory.mktemp("reports") / "new"
    return write_reports(TASK, docs.story()[:6], docs.rulings(), folder)


def test_pages_use_the_words_of_the_task(written, monkeypatch, tmp_path):
    """A binary task speaks of probabilities and of right and wrong actions; another task has words of its own."""
    daily, kpi = (text_of(written[name].read_text()) for name in ("daily.html", "kpi.html"))
    assert "Mean probability 2" in daily
    assert "Probabilities" in daily
    assert "A right action is worth 1,000 USD" in kpi
    words = {
        "output_word": "forecast",
        "outputs_word": "forecasts",
        "format_worth": lambda problem: "An hour is worth 7 USD.",
    }
    other = replace(TASK.report, **words, format_mean=lambda mean: f"{mean or 0:.1f} minutes")
    monkeypatch.setattr(binary_report, "REPORT", other)
    pages = write_reports(TASK, docs.story()[:6], docs.rulings(), tmp_path)
    daily, kpi = (pages[name].read_text() for name in ("daily.html", "kpi.html"))
    assert "probabilit" not in (daily + kpi).lower()
    assert "right action is worth" not in daily + kpi
    assert "Mean forecast 0." in text_of(daily)
    assert "minutes" in text_of(daily)
    assert "An hour is worth 7 USD." in kpi


@pytest.mark.parametrize("name", ["daily.html", "kpi.html"])
def test_reports_stand_alone_and_lead_to_each_other(written, name):
    page = assert_stands_alone(written[name].read_text())
    assert page.tags.count("h1") == 1
    assert {"daily.html": "kpi.html", "kpi.html": "daily.html"}[name] in page.links


def test_daily_report_has_every_section_in_its_contents(written):
    page = assert_stands_alone(written["daily.html"].read_text())
    assert [link for link in page.links if link.startswith("#")][1:] == [f"#{section.id}" for section in SECTIONS]


def test_reports_are_drawn(written):
    assert written["daily.html"].read_text().count("<figure>") == 10 + 8
    assert written["kpi.html"].read_text().count("<figure>") == 2


def test_first_screen_says_whether_it_is_well_what_changed_and_what_is_done(written):
    text = text_of(written["daily.html"].read_text())
    assert "The ranking is below its limit, and 1 finding more" in text
    assert "No: 2 critical. roc_auc is 0.561" in text
    assert "New: The ranking is below its limit; The decisions earn less than the current solution." in text
    assert "Gone: Values of origin_delays are too old;" in text
    ruling = "Run: PerformanceBelowLimit fires. 48,231 new labels have arrived, 20,000 are required."
    assert f"{ruling} The run ended: promoted." in text


def test_daily_report_shows_the_numbers_of_the_document_with_rows_units_and_intervals(written):
    text = text_of(written["daily.html"].read_text())
    for words in (
        "30,043 flights",  # traffic
        "8,303 under the capacity, 27.6% of flights",
        "0.132 of 0.250",  # drift: shift and limit
        "0.372 of 0.250",
        "52.0%",  # importance
        "0.53 × its limit",
        "-2.95 on the window before",
        "1.8 days",  # view ages
        "16.3%",
        "0.070% of all values of 2,000 sampled rows",  # skew
        "28,991 of 29,143 that are due: 99.5%",  # labels
        "median 3.4 hours, 95% within 7.1 hours",
        "0.561 0.540 to 0.582",  # performance
        "10,436",
        "530,535",  # value
        "-9,700 -14,000 to -5,400",
        "blind to a change of concept",
        "Run 7 is in flight",  # rulings
    ):
        assert words in text, words


def test_kpi_report_says_what_was_earned_in_this_period_and_since_the_beginning(written):
    """Of 28,991 flights 18.3 USD were earned and 28 by the current solution each: 281,213 less, within 124,661."""
    text = text_of(written["kpi.html"].read_text())
    assert "The decisions earned 281,213 USD less than the current solution" in text
    assert "earned 530,535 USD on 28,991 flights with a known outcome: 530,535 USD more than doing nothing" in text
    assert "281,213 USD less than the current solution" in text
    assert "(between 156,551 and 405,874 USD)" in text
    totals = [one.value.contenders["served"].total for one in docs.story()[:6]]
    assert f"Since the beginning, over 6 periods, they earned {sum(totals):,.0f} USD" in text
    assert "55 of 100" in text
    assert "8,303 actions taken of 8,928 possible ones" in text
    assert "duty-manager@airline.example" in text


@pytest.mark.parametrize(("low", "high", "words"), [(-150, -70, "lost"), (-250, 26, "earned")])
def test_reports_never_say_that_money_was_earned_when_acting_lost_it(low, high, words):
    """Against a current solution that loses more, decisions at chance level look like earnings of half a million."""
    result = docs.story()[4]
    rows, loss = 28_000, doc.Estimate(estimate=-112.0, low=low, high=high)
    served = parts.contender("version 1", rows, 9_000, -112.0, None, 0.3)
    contenders = {
        "served": served,
        "current_solution": parts.contender("rule", rows, 9_000, -5_112.0, 5_000.0, 0.2),
        "no_action": parts.contender("no action", rows, 0, 0.0, 0.0, 0).model_copy(
            update={"gain_of_served_per_1000": loss}
        ),
    }
    value = result.value.model_copy(update={"contenders": contenders, "is_below_limit": high < 0})
    result = result.model_copy(update={"value": value})
    kpi, daily = kpi_words([result]), daily_words([result])
    assert "more than the current solution" not in kpi.split("In this period")[0]
    assert f"The decisions {words} 3,136 USD" in kpi
    assert "3,136 USD less than doing nothing" in kpi
    assert ("Stop acting on the answers" in kpi) is (high < 0)
    assert ("below limit" in daily) is (high < 0)
    assert ("may lose money" in daily) is (high >= 0)


def test_kpi_report_shows_rulings_in_words_of_the_business(written):
    text = text_of(written["kpi.html"].read_text())
    assert "A new model was trained because the model had become too weak. It was better and is now in use." in text
    assert "No new model is trained for now: a new model is already being trained." in text


@pytest.mark.parametrize("results", [docs.story()[:number] for number in range(1, 9)], ids=str)
def test_kpi_report_has_no_word_of_the_trade(results):
    text = kpi_words(results, docs.rulings())
    assert re.findall(rf"\b(?:{TRADE})\b", text, flags=re.IGNORECASE) == []


@pytest.mark.parametrize("choice", get_args(Choice))
@pytest.mark.parametrize("reason", get_args(Reason))
def test_every_ruling_has_words_for_the_business(choice, reason):
    changed = {"choice": choice, "reason": reason, "words": "Drift of a feature."}
    words = format_ruling(docs.rulings()[0].model_copy(update=changed))
    assert words.endswith(".")
    assert re.findall(rf"\b(?:{TRADE})\b", words, flags=re.IGNORECASE) == []


def test_every_reason_to_hold_is_said():
    reasons = ("cooldown", "daily_budget", "run_in_flight", "too_few_labels", "labels_unknown", "paused")
    said = {format_ruling(docs.rulings()[0].model_copy(update={"reason": reason})) for reason in reasons}
    assert len(said) == len(reasons)
    assert all(words.startswith("No new model is trained for now: ") for words in said)


def test_a_new_model_and_a_recovery_are_told():
    text = daily_words(docs.story()[:7])
    assert "Version 2 is the champion instead of version 1." in text
    text = daily_words(docs.story())
    assert "All is well" in text
    assert "+0.163 on the window as of 1 January 2014" in text


def test_a_broken_feed_is_shown_where_it_is():
    text = daily_words(docs.story()[:5])
    for words in ("41.8%", "4.6 days", "too old", "42.1%", "+41.0 points", "3.5 × limit"):
        assert words in text, words


def test_a_harmless_shift_is_called_harmless():
    """The temperature moves beyond its limit, at 2% of importance."""
    assert re.search(r"weather_temp origin weather harmless 2\.0% 0\.279 of 0\.250", daily_words(docs.story()[:1]))


def test_first_window_without_traffic_is_shown_as_not_known():
    history = build_history(TASK, [docs.too_few()], [])
    daily, kpi = render_daily(history, draw_daily(history)), render_kpi(history, draw_kpi(history))
    for page in (daily, kpi):
        assert_stands_alone(page)
        assert "n/a" in page
        assert not re.search(r"\b(None|nan|inf)\b", text_of(page))
    assert "Not scored in this window: too few flights of version 2 have a label (500 are needed)." in text_of(daily)
    assert "What was earned is not known yet" in text_of(kpi)
    assert "The governor has ruled on nothing yet." in text_of(daily)


def test_value_without_a_count_of_right_actions_is_shown():
    """Documents of before the count have none."""
    result = docs.healthy()[0]
    contenders = {name: one.model_copy(update={"right_actions": None}) for name, one in result.value.contenders.items()}
    result = result.model_copy(update={"value": result.value.model_copy(update={"contenders": contenders})})
    assert "Right actions n/a" in kpi_words([result])
    assert "n/a" in daily_words([result])


def test_a_gain_that_may_be_chance_is_not_sold_as_one():
    text = kpi_words(docs.story()[:5])
    assert "The decisions earned about as much as the current solution" in text
    assert "USD less and" in text
    assert "it may be chance" in text


def test_hostile_names_are_shown_and_not_run():
    result = docs.stale_view()
    features = tuple(
        one.model_copy(update={"name": f"{HOSTILE}{place}", "source": HOSTILE})
        for place, one in enumerate(result.features[:3])
    )
    views = tuple(one.model_copy(update={"view": HOSTILE}) for one in result.views)
    changed = {"features": features, "views": views, "model_version": HOSTILE}
    changed["drift"] = result.drift.model_copy(update={"feature": HOSTILE})
    finding = doc.WindowFinding(severity="critical", topic="drift", title=HOSTILE, text=HOSTILE, action=HOSTILE)
    result = result.model_copy(update=changed | {"findings": (finding,)})
    ruling = docs.rulings()[1]
    run = ruling.run.model_copy(update={"key": HOSTILE, "state": HOSTILE})
    ruling = ruling.model_copy(update={"name": HOSTILE, "words": HOSTILE, "run": run})
    history = build_history(TASK, [docs.healthy()[0], result], [ruling])
    for page in (render_daily(history, draw_daily(history)), render_kpi(history, draw_kpi(history))):
        assert_stands_alone(page)
        assert "&lt;script&gt;" in page


def optional_fields(model):
    return [
        name for name, field in model.model_fields.items() if type(None) in getattr(field.annotation, "__args__", ())
    ]


def forget(draw, model):
    """Set some of the fields that may be unknown to None."""
    names = draw(st.sets(st.sampled_from(optional_fields(type(model))))) if optional_fields(type(model)) else ()
    return model.model_copy(update=dict.fromkeys(names))


@st.composite
def results_with_gaps(draw):
    """One of the story's windows, in which anything that may be unknown is unknown."""
    result = forget(draw, draw(st.sampled_from(docs.story())))
    changed = {name: forget(draw, getattr(result, name)) for name in ("traffic", "drift", "labels")}
    for name in ("features", "views"):
        changed[name] = tuple(forget(draw, one) for one in getattr(result, name)[: draw(st.integers(0, 4))])
    if result.performance:
        told, kept = result.performance, draw(st.sets(st.sampled_from(sorted(result.performance.scores))))
        scores = {name: forget(draw, told.scores[name]) for name in kept}
        estimated = tuple(forget(draw, one) for one in told.estimated)
        changed["performance"] = forget(draw, told).model_copy(update={"scores": scores, "estimated": estimated})
    if result.value:
        names = {"served", *draw(st.sets(st.sampled_from(sorted(result.value.contenders))))}
        kept = {name: one for name, one in result.value.contenders.items() if name in names}
        told = {
            name: forget(draw, one).model_copy(update={"per_1000": forget(draw, one.per_1000)})
            for name, one in kept.items()
        }
        changed["value"] = result.value.model_copy(update={"contenders": told})
    return result.model_copy(update=changed)


@settings(max_examples=60, deadline=None)
@given(results=st.lists(results_with_gaps(), min_size=1, max_size=3))
def test_whatever_is_unknown_is_shown_as_such_and_nothing_fails(results):
    for text in (daily_words(results, docs.rulings()), kpi_words(results, docs.rulings())):
        assert not re.search(r"\b(None|nan|inf|Undefined)\b", text)


@settings(max_examples=3, deadline=None)
@given(results=st.lists(results_with_gaps(), min_size=1, max_size=2))
def test_pictures_of_windows_with_gaps_are_drawn(results):
    history = build_history(TASK, results)
    for svg in [*draw_daily(history).pictures.values(), *draw_kpi(history).values()]:
        assert svg.startswith("<svg")


def test_summary_holds_what_index_and_terminal_show(written):
    summary = json.loads(written["summary.json"].read_text())
    assert summary["tone"] == "bad"
    assert summary["headline"] == "The ranking is below its limit, and 1 finding more"
    assert {one["label"]: one["number"] for one in summary["numbers"]} == {
        "Traffic": "30,043", "Drift": "0.53 × limit", "Performance": "0.561", "Value": "-9,700 USD",
        "Labels": "99.5%", "Freshness": "0.4%"}  # fmt: skip


def test_reports_of_nothing_are_refused(tmp_path):
    with pytest.raises(DataError, match=re.escape("at least one monitoring result must exist, but got 0")):
        write_reports(TASK, [], [], tmp_path)
