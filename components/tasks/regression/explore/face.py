"""What the regression adds to the exploration: how features go with the outcome, and the findings about it.

In: `TrainingRows`. Out: `Association`s and statements. Called by explore through `RegressionTask.exploration`.
"""

from components.base.statistics.resampling import Array
from components.features.explore.training_rows import Association, Codes
from components.tasks.regression.explore.association import explained_share, held_out_r2
from components.tasks.regression.explore.features import find_curves, find_leaks, find_speaking_gaps, find_strongest
from components.tasks.regression.explore.outcome import find_distribution, find_groups, find_over_time

SOLO_SCORE = "R² alone"
SOLO_SCORE_MEANING = "share of the outcome's variance that the feature alone predicts on other days; 0 is nothing."

FINDERS = (
    find_distribution,
    find_over_time,
    find_groups,
    find_strongest,
    find_curves,
    find_leaks,
    find_speaking_gaps,
)


def measure_association(codes: Codes, y: Array, days: Codes, bins: int) -> Association:
    """Measure how strongly a feature's bins go with the outcome: the variance they explain, and their R² alone."""
    return Association(explained_share(codes, y, bins), held_out_r2(codes, y, days, bins))
