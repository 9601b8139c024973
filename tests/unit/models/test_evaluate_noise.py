"""The promise of the champion gate: a challenger that is only luckier is promoted in at most 5 % of releases."""

import numpy as np
import pandas as pd

from components.base.statistics.resampling import draw_resamples
from components.models.gates import gate_champion
from components.models.scorecard import OpenedTest, compare, score_contender
from components.tasks.binary.policy import ThresholdPolicy

RELEASES = 200
DAYS, PER_DAY = 28, 25


def simulate_release(task, seed):
    """Judge two models that know equally much, on days that are good or bad as a whole."""
    generator = np.random.default_rng([11, seed])
    rows = DAYS * PER_DAY
    weather = np.repeat(generator.normal(0, 0.8, DAYS), PER_DAY)
    truth = weather + generator.normal(size=rows)
    outcomes = (generator.random(rows) < 1 / (1 + np.exp(1 - truth))).astype(float)
    times = pd.Series(pd.date_range("2013-06-01", periods=rows, freq=pd.Timedelta(days=1) / PER_DAY, tz="UTC"))
    resamples = draw_resamples(times, seed, 200)
    opened = OpenedTest(task, pd.DataFrame({"predicted_at": times}), outcomes, resamples)
    day_error = np.repeat(generator.normal(0, 0.4, (2, DAYS)), PER_DAY, axis=1)
    seen = truth + day_error + generator.normal(0, 0.8, (2, rows))
    challenger, champion = (
        score_contender(opened, "model", 1 / (1 + np.exp(1 - one[:, None])), ThresholdPolicy(threshold=0.4))
        for one in seen
    )
    return gate_champion(task, compare(opened, challenger, champion), "1", rows)


def test_noise_equal_challenger_is_promoted_in_at_most_five_percent_of_releases(task, small):
    """With nothing asked beyond being better at all, which is where the gate is weakest."""
    weakest = small.change(task, metrics={"minimum_lift": 0}, business={"minimum_lift_per_1000": 0})
    verdicts = [simulate_release(weakest, seed).verdict for seed in range(RELEASES)]
    assert set(verdicts) <= {"pass", "hold"}
    assert verdicts.count("pass") / RELEASES <= 0.05
