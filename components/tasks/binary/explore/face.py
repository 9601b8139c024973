"""What the binary task adds to the exploration: how features go with the outcome, and the findings about it.

In: `TrainingRows`. Out: `Association`s and statements. Called by explore through `BinaryTask.exploration`.
"""

from components.base.statistics.resampling import Array
from components.features.explore.training_rows import Association, Codes
from components.tasks.binary.explore.association import count_outcomes, held_out_auc, information_ratio
from components.tasks.binary.explore.features import find_curves, find_leaks, find_strongest
from components.tasks.binary.explore.gaps import find_speaking_gaps
from components.tasks.binary.explore.outcome import find_daily_load, find_groups, find_over_time

SOLO_SCORE = "AUC alone"
SOLO_SCORE_MEANING = "chance that the feature alone ranks a case above a row that is none; 0.5 is chance."

FINDERS = (
    find_over_time,
    find_daily_load,
    find_groups,
    find_strongest,
    find_curves,
    find_leaks,
    find_speaking_gaps,
)


def measure_association(codes: Codes, y: Array, days: Codes, bins: int) -> Association:
    """Measure how strongly a feature's bins go with the outcome: the information it holds, and its ROC AUC alone."""
    return Association(information_ratio(count_outcomes(codes, y, bins)), held_out_auc(codes, y, days, bins))
