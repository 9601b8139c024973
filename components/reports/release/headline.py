"""The answer for the business: what was decided, what it is worth and how well it works, in three sentences.

In: the material of a report. Out: an `Answer`. Called by the report and by the model card; every number comes from the
evaluation. How well the decisions hit is the task's sentence.
"""

from dataclasses import dataclass

from components.base.text.wording import join_words, say_plainly, write_bounds, write_count, write_money, write_score
from components.models.documents import Evaluation
from components.reports.release.material import REFERENCES, Material
from components.reports.release.task_report import TaskReport, Tile


@dataclass(frozen=True)
class Answer:
    """What a business owner reads first."""

    tone: str
    """`good`, `hold` or `bad`: the colour of the banner."""
    title: str
    sentences: tuple[str, ...]
    tiles: tuple[Tile, ...]


def build_answer(material: Material) -> Answer:
    """Put the release into three sentences and four numbers."""
    tone, title, decided = _format_verdict(material)
    evaluation, business, noun = material.evaluation, material.problem.business, material.problem.noun
    if evaluation is None:
        return Answer("hold", "No model was judged", (decided,), ())
    value, compared = evaluation.contenders["challenger"].value_per_1000, []
    confidence = evaluation.bootstrap.confidence
    for role in REFERENCES:
        if role in evaluation.comparisons:
            gain = evaluation.comparisons[role].value_per_1000
            amount = f"{write_money(abs(gain.estimate), business.currency)} {'more' if gain.estimate >= 0 else 'less'}"
            name = material.name_role(role).lower()
            compared.append(f"{amount} than the {name} ({write_bounds(gain, write_count, confidence)})")
    worth = f"Its decisions are worth {write_money(value.estimate, business.currency)} per 1,000 {noun}"
    worth += f" ({write_bounds(value, write_count, confidence)})"
    if compared:
        required = write_money(business.minimum_lift_per_1000, business.currency)
        worth += f": {join_words(compared)}, on the same {noun}; a gain of {required} is required"
    report: TaskReport = material.task.report
    sentences = (decided, f"{worth}.", report.format_skill(material))
    return Answer(tone, title, sentences, _build_tiles(material, evaluation, report))


def _format_verdict(material: Material) -> tuple[str, str, str]:
    """Return tone, title and first sentence."""
    deployment, evaluation = material.deployment, material.evaluation
    version = material.release.version if material.release else None
    deployed = deployment.champion if deployment else None
    champion = deployed or (evaluation.champion.version if evaluation and evaluation.champion else None)
    stays = f"version {champion} stays champion" if champion else "the current solution stays in use"
    if deployment and deployment.outcome == "promoted":
        after = f" and replaces version {deployment.previous}" if deployment.previous else ""
        words = f"No gate stops the new model: version {version} now answers at the endpoint"
        return "good", f"Promoted: version {version} is the champion", f"{words} {deployment.endpoint}{after}."
    if deployment and deployment.outcome == "refused":
        reasons = " ".join(deployment.reasons)
        words = f"Version {version} passed its evaluation, but its endpoint failed the smoke test; {stays}. {reasons}"
        return "bad", "Stopped at the endpoint", words
    if evaluation is None:
        return "hold", "No verdict", "This run did not judge a model."
    if evaluation.verdict == "promote":
        return "good", "Accepted, not deployed yet", f"No gate stops version {version}: it waits for deployment."
    if evaluation.verdict == "hold":
        words = f"The new model is sound, but it is not sure to be better than what is in use: {stays}."
        return "hold", "On hold: not clearly better", words
    failed = [f"“{say_plainly(gate.name)}”" for gate in evaluation.gates if gate.verdict == "fail"]
    listed = f" at {join_words(failed)}" if failed else ""
    return "bad", "Refused: not good enough", f"The new model failed{listed}: {stays}."


def _build_tiles(material: Material, evaluation: Evaluation, report: TaskReport) -> tuple[Tile, ...]:
    currency, metric = material.problem.business.currency, material.task.primary
    challenger = evaluation.contenders["challenger"]
    value, score = challenger.value_per_1000, challenger.scores[evaluation.metric]
    per_1000, confidence = f"per 1,000 {material.problem.noun}", evaluation.bootstrap.confidence
    tiles = [
        Tile(
            "Value of its decisions",
            write_money(value.estimate, currency),
            f"{per_1000}, {write_bounds(value, write_count, confidence)}",
        )
    ]
    if material.reference:
        gain = evaluation.comparisons[material.reference].value_per_1000
        sign = "+" if gain.estimate > 0 else ""
        name = material.name_role(material.reference).lower()
        note = f"{per_1000}, {write_bounds(gain, write_count, confidence)}"
        tiles.append(Tile(f"Gain over the {name}", f"{sign}{write_money(gain.estimate, currency)}", note))
    better = "1 is perfect" if metric.higher_is_better else "0 is perfect"
    label = metric.label[:1].upper() + metric.label[1:]
    note = f"{better}, {write_bounds(score, write_score, confidence)}"
    return (*tiles, report.build_tile(material), Tile(label, write_score(score.estimate), note))
