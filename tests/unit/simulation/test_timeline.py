import dataclasses
import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.simulation.timeline import Span, TimelineEvent, TimelineMonth, add_up, covers, pair_alerts
from pipelines.simulation.timeline_page import render_timeline
from pipelines.simulation.timeline_picture import PHONE, SCREEN, draw_timeline
from tests.unit.pages import assert_stands_alone, text_of
from tests.unit.simulation import documents as docs
from tests.unit.simulation.documents import moment, timeline

HOSTILE = "<script>alert(1)</script>\"'&"


@pytest.fixture(scope="module")
def page():
    return render_timeline(timeline())


def test_page_stands_alone_and_links_the_reports(page):
    links = assert_stands_alone(page).links
    assert {"runs/index.html", "runs/flight-delays-monitoring-3/daily.html"} <= set(links)
    assert page.count("<svg") == 2


def test_page_says_what_retraining_earned(page):
    """Four months differ: 870 - 431, 901 - 402, 921 - 466 and 888 - 431 thousand make 1,850."""
    text = text_of(page)
    assert "Retraining earned 1,850,000 USD" in text
    assert "the decisions earned 6,687,000 USD; the first model, never retrained, would have earned 4,837,000" in text
    assert "4 incidents were injected, 5 alerts fired, 1 training run was decided and 1 new model took over." in text
    assert "Every alert cleared." in text


def test_every_month_is_a_row_with_its_numbers(page):
    text = text_of(page)
    for month in timeline().months:
        for words in (f"{month.start:%B %Y}", f"{month.rows:,}", f"{month.drift:.2f}", f"{month.score:.3f}",
                      f"frozen {month.frozen_score:.3f}", f"{month.value:,.0f}", f"frozen {month.frozen_value:,.0f}",
                      f"current {month.current_value:,.0f}"):  # fmt: skip
            assert words in text, words
    assert "PerformanceBelowLimit 1 Nov" in text
    assert "PerformanceBelowLimit fires, cleared 1 Dec" in text


def test_every_event_is_listed_in_order(page):
    listed = text_of(page).split("Everything in order")[1]
    places = [listed.index(event.text) for event in timeline().ordered if event.text]
    assert places == sorted(places)


def test_an_event_belongs_to_the_month_that_was_judged_at_it():
    """The month of September ends where October begins: what is decided there is about September."""
    september, october = timeline().months[2:4]
    assert [(one.kind, one.title) for one in timeline().events_of(september)] == [
        ("injected", "broken feature feed"),
        ("alert_fired", "FeaturesStale"),
        ("alert_fired", "DriftMatters"),
        ("ruling", "hold"),
    ]
    assert timeline().events_of(october)[0].title == "concept shift"


def test_alerts_are_paired_from_fired_to_cleared():
    """The alert repeats while it fires, clears, and fires again to the end."""
    kinds = ("alert_fired", "alert_fired", "alert_cleared", "alert_cleared", "alert_fired")
    events = tuple(TimelineEvent(moment(8 + place), kind, "A") for place, kind in enumerate(kinds))
    assert pair_alerts(timeline(events=events)) == [
        Span("A", moment(8), moment(10)),
        Span("A", moment(12), None),
    ]


def test_an_alert_covers_the_months_in_which_it_fires():
    months = timeline().months
    span = Span("A", moment(9), moment(11))
    assert [covers(span, month) for month in months] == [False, True, True, True, False, False, False, False]
    assert covers(dataclasses.replace(span, end=None), months[-1])


def test_totals_hold_only_months_that_tell_all_three():
    months = list(timeline().months)
    months[3] = dataclasses.replace(months[3], frozen_value=None)
    totals = timeline(months=tuple(months)).totals
    assert (totals.months, totals.served, totals.retraining_earned) == (7, 6_285_000, 1_850_000)
    assert timeline(months=()).totals is None


@given(values=st.lists(st.none() | st.floats(-1e6, 1e6), max_size=12))
def test_running_sums_skip_what_is_unknown(values):
    assert [one is None for one in add_up(values)] == [one is None for one in values]
    known = [one for one in values if one is not None]
    assert [one for one in add_up(values) if one is not None] == pytest.approx(list(itertools.accumulate(known)))


def test_a_loss_by_retraining_is_said():
    swapped = tuple(
        dataclasses.replace(one, value=one.frozen_value, frozen_value=one.value) for one in timeline().months
    )
    page = render_timeline(timeline(months=swapped))
    assert "Retraining lost 1,850,000 USD" in text_of(page)
    assert 'class="answer bad"' in page


def test_an_alert_that_still_fires_is_said():
    events = (TimelineEvent(moment(9), "alert_fired", "DriftMatters"),)
    assert "Still firing: DriftMatters." in text_of(render_timeline(timeline(events=events)))


def test_a_loop_that_tells_nothing_is_shown():
    text = text_of(render_timeline(timeline(months=(docs.empty_month(),), events=(), links=(), seconds=None)))
    assert "What retraining earned is not known" in text
    assert "No month has a score or a value yet." in text
    assert "None" not in text
    assert_stands_alone(render_timeline(timeline(months=(), events=())))


def optional_fields():
    return [field.name for field in dataclasses.fields(TimelineMonth) if field.default is None]


@settings(max_examples=40, deadline=None)
@given(gaps=st.lists(st.sets(st.sampled_from(optional_fields())), min_size=8, max_size=8))
def test_totals_count_the_months_that_tell_all_three(gaps):
    months = tuple(
        dataclasses.replace(month, **dict.fromkeys(gap)) for month, gap in zip(timeline().months, gaps, strict=True)
    )
    totals = timeline(months=months).totals
    known = [one for one in months if None not in (one.value, one.frozen_value, one.current_value)]
    assert (totals.months if totals else 0) == len(known)


@settings(max_examples=2, deadline=None)
@given(gaps=st.lists(st.sets(st.sampled_from(optional_fields())), min_size=8, max_size=8))
def test_a_page_with_gaps_is_drawn(gaps):
    months = tuple(
        dataclasses.replace(month, **dict.fromkeys(gap)) for month, gap in zip(timeline().months, gaps, strict=True)
    )
    text = text_of(render_timeline(timeline(months=months)))
    assert not {"None", "nan"} & set(text.split())


def test_hostile_text_is_shown_and_not_run():
    events = tuple(
        dataclasses.replace(event, title=HOSTILE, text=HOSTILE, link="x" if event.link else "")
        for event in docs.events()
    )
    months = tuple(
        dataclasses.replace(month, model_version=HOSTILE, drift_feature=HOSTILE, harmless=(HOSTILE,))
        for month in timeline().months
    )
    page = render_timeline(timeline(title=HOSTILE, noun=HOSTILE, events=events, months=months))
    assert_stands_alone(page)
    assert "&lt;script&gt;" in page


def test_pictures_for_screen_and_phone_differ_in_shape_only():
    screen, phone = (draw_timeline(timeline(), size) for size in (SCREEN, PHONE))
    for svg in (screen, phone):
        for words in ("concept shift", "ValueBelowLimit", "version 2", "with retraining", "limit"):
            assert words in svg
    assert "+1,850,000" in screen


def test_a_release_that_is_held_puts_no_model_in_charge():
    titles = ("Version 2 held", "Version 3 refused", "Release failed", "Version 4 promoted")
    events = tuple(TimelineEvent(moment(9 + place), "release", title) for place, title in enumerate(titles))
    assert [event.is_promotion for event in events] == [False, False, False, True]
    runs = [TimelineEvent(moment(9), "ruling", title).is_run for title in ("run", "run: ValueBelowLimit", "hold: x")]
    assert runs == [True, True, False]
    text = text_of(render_timeline(timeline(events=(*events, TimelineEvent(moment(9), "ruling", "run: A")))))
    assert "1 training run was decided and 1 new model took over." in text
