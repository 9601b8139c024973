import json
import re

import pytest

from components.reports.release.material import read_material
from components.reports.release.present import (
    SECTIONS,
    copy_presentation,
    draw_pictures,
    present_release,
    render_card,
    render_report,
)
from components.reports.release.summary import summarise
from tests.unit.pages import Page, text_of
from tests.unit.reports import release_documents as docs

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'&"


def read(folder, documents):
    return read_material(docs.task(), "run-1", docs.AS_OF, docs.write_places(folder, documents))


def render(material):
    return render_report(material, draw_pictures(material))


def render_words(folder, documents):
    return text_of(render_report(read(folder, documents), {}))


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    return render(read(tmp_path_factory.mktemp("report"), docs.all_documents()))


def test_report_loads_nothing_from_elsewhere(report):
    page = Page(report)
    assert all(address.startswith("#") for address in page.loads)
    assert not {"script", "link", "iframe", "object", "embed", "img"} & set(page.tags)
    assert "@import" not in report
    assert not re.search(r"https?://", report)


def test_report_is_well_formed_and_its_contents_lead_to_sections(report):
    page = Page(report)
    assert (page.faults, page.open) == ([], [])
    assert len(page.ids) == len(set(page.ids))
    assert [link for link in page.links if link.startswith("#")][1:] == [f"#{section.id}" for section in SECTIONS]
    assert {section.id for section in SECTIONS} <= set(page.ids)
    assert page.tags.count("h1") == 1


def test_report_is_small(report):
    assert len(report.encode()) < 3_000_000


def test_every_picture_has_an_alternative_text(report):
    pictures = re.findall(r"<svg[^>]*>", report)
    assert len(pictures) > 10
    assert all(re.search(r'role="img" aria-label="[^"]{5,}"', picture) for picture in pictures)


def test_report_says_that_other_models_were_judged_on_the_same_rows(tmp_path):
    documents = docs.all_documents()
    documents["evaluation"]["opened"]["earlier_openings"] = 2
    documents["evaluation"]["bootstrap"]["confidence"] = 0.9875
    text = render_words(tmp_path, documents)
    assert "Other models were judged on these rows 2 times before, so a gain must be larger to be proven." in text
    assert "98.75% intervals from 1,000 resamples" in text
    assert "worth 61,234 USD per 1,000 flights (98.75% interval 60,234 to 62,234)" in text
    assert "Intervals are 98.75% intervals on test rows and 95% intervals elsewhere" in text


def test_answer_says_the_numbers_of_the_evaluation(report):
    text = text_of(report)
    assert "Promoted: version 3 is the champion" in text
    assert "worth 61,234 USD per 1,000 flights (95% interval 60,234 to 62,234): 21,234 USD more than the " in text
    assert (
        "current solution (95% interval 20,734 to 21,734), on the same flights; a gain of 500 USD is required." in text
    )
    assert "Of 100 actions that it takes 75 are right, and it acts on 60.0% of all flights that are late" in text


def test_decisions_at_the_threshold_add_up_to_the_test_rows(report):
    """400 actions, 75% right; 500 of 2,000 rows are late: 300, 100, 200 and 1,400."""
    cells = re.findall(r'<div class="number">([\d,]+)</div><div class="small">([-\d,]+)</div>', report)
    assert cells == [("300", "300,000"), ("100", "-40,000"), ("200", "0"), ("1,400", "0")]


def test_report_shows_rows_reasons_and_gates(report):
    text = text_of(report)
    for words in ("12,345", "12,340", "arr_delay must be at most 2000 minutes, but got 2300", "The same row again",
                  "It earns more.", "V1 is compared.", "ran out of time", "c0ffee", "33,210"):  # fmt: skip
        assert words in text


def test_findings_are_shown_with_their_pictures(report):
    assert "24.0% of flights were late." in report
    assert 'aria-label="A line."' in report


def test_lines_that_a_finding_proposes_for_the_contract_stand_beside_it_with_their_command(tmp_path):
    documents = docs.all_documents()
    assert "make adopt" not in render_words(tmp_path, documents)
    basis = "16 values in 9,000 training rows."
    proposal = {"source": "flights", "column": "carrier", "field": "allowed", "value": ["AA", "NO"], "basis": basis}
    documents["findings"]["findings"][0]["proposals"] = [proposal, proposal | {"field": "minimum", "value": 10.0}]
    words = render_words(tmp_path, documents)
    assert "make adopt PROBLEM=flight-delays FINDING=outcome_over_time" in words
    assert f"sources.flights.columns.carrier.allowed: [AA, 'NO'] . {basis}" in words.replace("&#39;", "'")
    assert f"sources.flights.columns.carrier.minimum: 10 . {basis}" in words


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"evaluation": docs.evaluation("refuse"), "release": docs.release(None),
            "deployment": docs.deployment("kept")},
         "The new model failed at “beats current solution”: the current solution stays in use."),
        ({"evaluation": docs.evaluation("hold"), "deployment": docs.deployment("kept")}, "On hold: not clearly better"),
        ({"deployment": docs.deployment("refused")}, "Stopped at the endpoint"),
        ({"evaluation": docs.evaluation(champion=True)}, "Gain over the previous model (version 2)"),
        (
            {"evaluation": docs.evaluation("hold", champion=True), "deployment": docs.deployment("kept")},
            "Gain over the champion (version 2)",
        ),
    ],
)  # fmt: skip
def test_every_outcome_has_its_own_answer(tmp_path, changed, words):
    assert words in render_words(tmp_path, docs.all_documents(**changed))


@pytest.mark.parametrize("missing", sorted(docs.all_documents()))
def test_report_shows_a_run_that_lacks_one_document(tmp_path, missing):
    documents = docs.all_documents()
    del documents[missing]
    material = read(tmp_path, documents)
    page = Page(render_report(material, {}))
    assert page.faults == []
    assert render_card(material).startswith("# ")


def test_report_shows_a_run_that_left_nothing(tmp_path):
    material = read_material(docs.task(), "run-1", docs.AS_OF, {})
    text = text_of(render(material))
    assert "No model was judged" in text
    assert "The step evaluate left no result in this run." in text


def test_nothing_is_drawn_for_a_run_that_left_nothing():
    assert draw_pictures(read_material(docs.task(), "run-1", docs.AS_OF, {})) == {}


def test_hostile_text_is_shown_and_not_run(tmp_path):
    documents = docs.all_documents()
    documents["evaluation"]["reasons"] = [HOSTILE]
    documents["evaluation"]["worst_cases"][0]["key"]["carrier"] = HOSTILE
    documents["findings"]["findings"][0] |= {"headline": HOSTILE, "alt": HOSTILE}
    documents["quality"]["sources"]["flights"]["problems"][0]["example"] = HOSTILE
    documents["dictionary"]["sources"]["flights"]["columns"][0]["name"] = HOSTILE
    material = read(tmp_path, documents)
    html = render_report(material, {})
    page = Page(html)
    assert not {"script", "img"} & set(page.tags)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert "<script>" not in render_card(material)


def test_unknown_intervals_are_said_to_be_unknown(tmp_path):
    documents = docs.all_documents()
    for judged in documents["evaluation"]["contenders"].values():
        judged["value_per_1000"] |= {"low": None, "high": None}
    text = render_words(tmp_path, documents)
    assert "no interval: too few rows" in text
    assert "nan" not in text.lower().split()


def test_card_holds_answer_gates_limits_and_owner(tmp_path):
    card = render_card(read(tmp_path, docs.all_documents()))
    assert card.startswith("# Flight delays out of New York: Promoted: version 3 is the champion")
    assert "| beats dummy | pass | 0.2 | 0 | It does. |" in card
    assert "| average precision | 0.500 | 0.500 | 0.500 |" in card
    assert docs.problem().owner.team in card
    assert all(line.startswith("* ") for line in card.split("### Limits")[1].split("###")[0].strip().splitlines())


def test_figures_of_a_refitted_release_are_said_to_be_of_the_judged_model(tmp_path):
    material = read(tmp_path, docs.all_documents())
    words = (
        "Every figure of the new model was measured on the judged model. The model that is served is its recipe fitted "
        "once more on all 13,500 rows, to 1 July 2013."
    )
    page = render_report(material, {})
    for section in ("answer", "test", "gates"):
        start = page.index(f'aria-labelledby="{section}"')
        assert words in text_of(page[start : page.index("</section>", start)])
    assert words in render_card(material)
    assert "**Trained on**: 13,500 flights" in render_card(material)
    assert summarise(material).verdict_in_words.endswith(words)


def test_newer_rows_that_had_to_stay_out_are_said_in_report_card_and_verdict(tmp_path):
    material = read(tmp_path, docs.all_documents(refit=docs.refit(is_refitted=False)))
    words = "The judged model is served, for 40% would flip."
    assert words in text_of(render_report(material, {}))
    assert words in render_card(material)
    assert "measured on the judged model" not in render_card(material)
    assert summarise(material).verdict_in_words.endswith(words)


def test_ceiling_that_was_reached_is_shown_as_a_run_that_may_differ(tmp_path):
    documents = docs.all_documents()
    documents["tuned"]["trials"] = 30
    material = read(tmp_path, documents)
    words = "Not reproducible: logistic was tuned by 3 of 30 trials, for the ceiling of 1800 s was reached"
    assert words in text_of(render_report(material, {}))
    assert words in summarise(material).cut_short
    assert summarise(read(tmp_path, docs.all_documents())).cut_short is None


def test_family_without_a_finished_trial_is_named_beside_the_answer(tmp_path):
    documents = docs.all_documents()
    documents["leaderboard"]["chosen"] = ["logistic", "mlp"]
    words = "mlp (no trial of its search came to an end)"
    for page in (render_report(read(tmp_path, documents), {}),):
        start = page.index('aria-labelledby="answer"')
        assert words in text_of(page[start : page.index("</section>", start)])
    assert words in summarise(read(tmp_path, documents)).verdict_in_words


def test_intervals_of_few_test_days_are_said_to_be_too_narrow(tmp_path):
    documents = docs.all_documents()
    words = "They are too narrow: the test rows span 7 days"
    assert words not in text_of(render_report(read(tmp_path, docs.all_documents()), {}))
    documents["evaluation"]["bootstrap"]["unit"] = "run"
    documents["evaluation"]["opened"]["days"] = 7
    assert words in text_of(render_report(read(tmp_path, documents), {}))


def test_present_writes_report_card_and_summary(tmp_path, caplog):
    caplog.set_level("INFO")
    places = docs.write_places(tmp_path / "run", docs.all_documents())
    present_release(docs.task(), "run-1", docs.AS_OF, places, tmp_path / "out")
    copy_presentation(tmp_path / "out", tmp_path / "kfp" / "report", tmp_path / "kfp" / "card")
    assert (tmp_path / "kfp" / "report").read_bytes() == (tmp_path / "out" / "report.html").read_bytes()
    assert (tmp_path / "kfp" / "card").read_text().startswith("# ")
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["model_version"] == "3"
    assert caplog.messages[-1].startswith("present: a report of ")


def test_the_same_material_gives_the_same_report(tmp_path, report):
    assert render(read(tmp_path, docs.all_documents())) == report
