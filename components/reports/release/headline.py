"""The answer for the business: what was decided, what it is worth and how well it works, in three sentences.

In: the material of a report. Out: an `Answer`. Called by the report and by the model card; every number comes from the
evaluation.
"""

from dataclasses import dataclass
from typing import Any

from components.base.statistics.scores import METRICS
from components.base.text.wording import (
    join_words,
    say_plainly,
    write_capacity,
    write_count,
    write_money,
    write_percent,
    write_score,
)
from components.reports.release.material import REFERENCES, Material


@dataclass(frozen=True)
class Tile:
    """One number that matters, with what it means."""

    label: str
    value: str
    note: str


@dataclass(frozen=True)
class Answer:
    """What a business owner reads first."""

    tone: str
    """`good`, `hold` or `bad`: the colour of the banner."""
    title: str
    sentences: tuple[str, ...]
    tiles: tuple[Tile, ...]


def answer(material: Material) -> Answer:
    """Put the release into three sentences and four numbers."""
    evaluation = material["evaluation"]
    tone, title, decided = _decide(material)
    if not evaluation:
        return Answer("hold", "No model was judged", (decided,), ())
    return Answer(tone, title, (decided, _say_worth(material), _say_skill(material)), _show_numbers(material))


def write_interval(interval: dict[str, Any], write: Any) -> str:
    """Write the bounds of an interval of 95%, or that the rows cannot tell."""
    if interval.get("low") is None or interval.get("high") is None:
        return "no interval: too few rows"
    return f"95% interval {write(interval['low'])} to {write(interval['high'])}"


def _decide(material: Material) -> tuple[str, str, str]:
    deployment = material.deployment
    verdict = material["evaluation"].get("verdict")
    version = material.release.version if material.release else None
    stays = _who_stays(material)
    if deployment and deployment.outcome == "promoted":
        after = f" and replaces version {deployment.previous}" if deployment.previous else ""
        words = f"The new model passed every gate: version {version} now answers at the endpoint"
        return "good", f"Promoted: version {version} is the champion", f"{words} {deployment.endpoint}{after}."
    if deployment and deployment.outcome == "refused":
        reasons = " ".join(deployment.reasons)
        words = f"Version {version} passed its evaluation, but its endpoint did not prove itself; {stays}. {reasons}"
        return "bad", "Stopped at the endpoint", words
    if verdict == "promote":
        return "good", "Accepted, not deployed yet", f"Version {version} passed every gate and waits for deployment."
    if verdict == "hold":
        words = f"The new model is sound, but it is not sure to be better than what is in use: {stays}."
        return "hold", "On hold: not clearly better", words
    if verdict == "refuse":
        failed = [
            f"“{say_plainly(gate['name'])}”" for gate in material["evaluation"]["gates"] if gate["verdict"] == "fail"
        ]
        listed = f" at {join_words(failed)}" if failed else ""
        return "bad", "Refused: not good enough", f"The new model failed{listed}: {stays}."
    return "hold", "No verdict", "This run did not judge a model."


def _who_stays(material: Material) -> str:
    deployed = material.deployment.champion if material.deployment else None
    champion = deployed or (material["evaluation"].get("champion") or {}).get("version")
    return f"version {champion} stays champion" if champion else "the current solution stays in use"


def _say_worth(material: Material) -> str:
    business, value = material.problem.business, material.contenders["challenger"]["value_per_1000"]
    text = (
        f"Its decisions are worth {_money(material, value['estimate'])} per 1,000 {material.noun} "
        f"({write_interval(value, write_count)})"
    )
    comparisons = material["evaluation"]["comparisons"]
    compared = [_compare(material, role) for role in REFERENCES if role in comparisons]
    if not compared:
        return f"{text}."
    asked = write_money(business.minimum_lift_per_1000, business.currency)
    return f"{text}: {join_words(compared)}, on the same {material.noun}; a gain of {asked} is asked for."


def _compare(material: Material, role: str) -> str:
    gain = material["evaluation"]["comparisons"][role]["value_per_1000"]
    direction = "more" if gain["estimate"] >= 0 else "less"
    amount, interval = _money(material, abs(gain["estimate"])), write_interval(gain, write_count)
    return f"{amount} {direction} than the {material.name_role(role).lower()} ({interval})"


def _say_skill(material: Material) -> str:
    challenger, capacity = material.contenders["challenger"], material.problem.business.capacity_per_day
    shifts = material.problem.business.capacity_periods_per_day
    within = f" with at most {write_capacity(capacity, shifts)}" if capacity else ""
    text = (
        f"Of 100 actions that it takes {_per_hundred(challenger)} are right, and it acts on "
        f"{write_percent(challenger['recall'])} of all {material.noun} that are {material.outcome}{within}"
    )
    role = material.reference
    other = material.contenders.get(role) if role else None
    if not role or not other or not other["actions"]:
        return f"{text}."
    name = material.name_role(role).lower()
    found = write_percent(other["recall"])
    return f"{text}; with the {name} {_per_hundred(other)} of 100 are right, and it acts on {found}."


def _show_numbers(material: Material) -> tuple[Tile, ...]:
    problem, evaluation = material.problem, material["evaluation"]
    challenger, metric = material.contenders["challenger"], problem.metrics.primary
    value, score = challenger["value_per_1000"], challenger["scores"][metric]
    tiles = [
        Tile(
            "Value of its decisions",
            _money(material, value["estimate"]),
            f"per 1,000 {material.noun}, {write_interval(value, write_count)}",
        )
    ]
    if material.reference:
        gain = evaluation["comparisons"][material.reference]["value_per_1000"]
        sign = "+" if gain["estimate"] > 0 else ""
        name = material.name_role(material.reference).lower()
        note = f"per 1,000 {material.noun}, {write_interval(gain, write_count)}"
        tiles.append(Tile(f"Gain over the {name}", f"{sign}{_money(material, gain['estimate'])}", note))
    tiles.append(
        Tile(
            "Right actions",
            f"{_per_hundred(challenger)} of 100",
            f"{write_count(challenger['actions'])} actions on {write_count(evaluation['opened']['rows'])} test rows",
        )
    )
    label = METRICS[metric].label
    better = "1 is perfect" if METRICS[metric].higher_is_better else "0 is perfect"
    tiles.append(
        Tile(
            label[:1].upper() + label[1:],
            write_score(score["estimate"]),
            f"{better}, {write_interval(score, write_score)}",
        )
    )
    return tuple(tiles)


def _per_hundred(contender: dict[str, Any]) -> str:
    precision = contender.get("precision")
    return "none" if precision is None else f"{precision * 100:.0f}"


def _money(material: Material, amount: float) -> str:
    return write_money(amount, material.problem.business.currency)
