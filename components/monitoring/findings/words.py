"""Format the parts of the sentences of findings. Called by `collect` and `inputs`."""

from collections.abc import Sequence

from components.base.contract.problem import Problem
from components.base.text.wording import name_first, write_money, write_score
from components.monitoring.results import Estimate, FeatureState

# A sentence names at most this many features; the rest is counted.
_NAMES = 4


def describe_reaction(problem: Problem, alert: str, otherwise: str) -> str:
    """Describe what happens: the governor acts where the contract lets this alert retrain."""
    if alert in problem.retraining.alerts:
        return f"The alert {alert} asks the governor to retrain; `make rulings` shows its ruling."
    return f"No retraining starts. {otherwise}"


def write_interval(found: Estimate) -> str:
    """Format a score with its interval: `0.712 (0.690 to 0.731)`."""
    if found.low is None or found.high is None:
        return write_score(found.estimate)
    return f"{write_score(found.estimate)} ({write_score(found.low)} to {write_score(found.high)})"


def write_money_interval(found: Estimate, currency: str) -> str:
    """Format the bounds of an amount."""
    if found.low is None or found.high is None:
        return "interval unknown"
    return f"{write_money(found.low, currency)} to {write_money(found.high, currency)}"


def write_span(seconds: float | None) -> str:
    """Format a time to live in hours, or above two days in days."""
    if seconds is None:
        return "their time to live"
    hours = seconds / 3600
    return f"{hours / 24:g} days" if hours > 48 else f"{hours:g} hours"


def count_features(features: Sequence[FeatureState], one: str, many: str) -> str:
    """Format a number of features: `1 feature is`, `3 features are`."""
    return f"{len(features)} {one if len(features) == 1 else many}"


def name_features(features: Sequence[FeatureState]) -> str:
    """Name the first few features."""
    return name_first([feature.name for feature in features], _NAMES)
