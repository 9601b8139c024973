"""Judge the features that a release would be served: equal to those of training, and there.

In: the newest requests before `as_of` with their features by the point-in-time join at `as_of`, what the path of
serving makes of the same requests, the profile of the training rows, and the contract's limits. Out: a
`FeatureDifference` a feature, and three gates. Called by the smoke test.

Golden rows cannot tell: they are weeks old, and an entity of then may rightly have no value now. The newest requests
are of the entities that the next ones name.

What counts as what
    different    another value than the join gives, or none where it gives one
    missing      the store does not hold the entity, or its values are too old
    expired      its values are too old; not different, for the join is of the time that the store was filled for

A value that the source left empty is equal on both sides and counts as nothing: at one time it may be that of an
airport which half of the requests name.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd

from components.base.contract.monitoring import QualityLimits
from components.base.dataset import Feature
from components.base.gate import Gate, limit_gate
from components.base.text.wording import say_plainly, write_percent
from components.features.differences import compare_values
from components.features.explore.profile import Profile
from components.features.online.reader import ServedFeatures
from components.release.record import FeatureDifference

SKEW, MISSING, EXPIRED = "training_serving_skew", "missing_features", "expired_features"


def compare_features(
    features: Sequence[Feature],
    trained: pd.DataFrame,
    requested: Sequence[Mapping[str, Any]],
    found: Sequence[ServedFeatures],
    profile: Profile,
) -> tuple[FeatureDifference, ...]:
    """Compare what is served for n requests with what training would have got.

    Args:
        features: The model's inputs.
        trained: (n, features): by the code of training, as of the time that the store was filled for.
        requested: The features that the predictor computes of each request.
        found: What the online store gives for each request.
        profile: Of the training rows.
    """
    rows = [{**own, **looked_up.values} for own, looked_up in zip(requested, found, strict=True)]
    served = pd.DataFrame(rows, columns=[feature.name for feature in features])
    compared = []
    for feature in features:
        is_old = np.array([feature.origin in looked_up.expired for looked_up in found], dtype=bool)
        is_absent = np.array([_lacks_entity(feature, looked_up) for looked_up in found], dtype=bool)
        is_equal, mean = compare_values(feature, trained[feature.name], served[feature.name])
        compared.append(
            FeatureDifference(
                feature=feature.name,
                rows=len(served),
                different_rows=int((~is_equal & ~is_old).sum()),
                mean_absolute_difference=mean,
                missing_rows=int((is_absent | is_old).sum()),
                expired_rows=int(is_old.sum()),
                training_missing_ratio=profile.columns[feature.name].missing / profile.rows,
            )
        )
    return tuple(compared)


def _lacks_entity(feature: Feature, found: ServedFeatures) -> bool:
    """Return whether the store does not hold the entity of a looked-up feature."""
    return feature.origin in found.ages and found.ages[feature.origin] is None


def judge_features(
    compared: Sequence[FeatureDifference], limits: QualityLimits, held: datetime | None, wanted: datetime
) -> tuple[Gate, ...]:
    """Pass when no feature differs, is missing or is expired in more of the newest rows than the contract accepts.

    Args:
        compared: Of each feature.
        limits: Of the contract.
        held: The time that the online store was filled for.
        wanted: The time of the release, at which the features of training were joined.
    """
    if not compared or not compared[0].rows:
        return not_judged("no newest rows are kept with this version")
    skew = _judge_worst(
        SKEW,
        compared,
        lambda one: one.different_ratio,
        limits.maximum_skew_ratio,
        "is served with another value than training would have got",
    )
    if held != wanted:
        reason = f"The online store holds {held}, and the features of training are of {wanted}: no value is compared."
        skew = skew.model_copy(update={"verdict": "not judged", "value": None, "reason": reason})
    return (
        skew,
        _judge_worst(
            MISSING,
            compared,
            lambda one: one.missing_rise,
            limits.maximum_missing_rise,
            "has no value in the online store more often than in training",
        ),
        _judge_worst(
            EXPIRED,
            compared,
            lambda one: one.expired_rise,
            limits.maximum_expired_rise,
            "is too old in the online store more often than it was missing in training",
            f" `make refresh AS_OF={held or wanted:%Y-%m-%dT%H:%M:%S}` fills it anew.",
        ),
    )


def not_judged(reason: str) -> tuple[Gate, ...]:
    """Return the three gates of a version whose features cannot be compared."""
    words = f"The served features are not compared: {reason}."
    return tuple(
        Gate(name=name, verdict="not judged", value=None, limit=None, reason=words) for name in (SKEW, MISSING, EXPIRED)
    )


def _judge_worst(
    name: str,
    compared: Sequence[FeatureDifference],
    measure: Callable[[FeatureDifference], float],
    limit: float,
    words: str,
    advice: str = "",
) -> Gate:
    worst = max(compared, key=measure)
    value = max(measure(worst), 0.0)
    told = f"In {worst.rows:,} newest rows none of {len(compared)} features {words}"
    if value:
        share = f"{write_percent(value)} of {worst.rows:,} newest rows"
        told = f"{say_plainly(worst.feature).capitalize()} {words}: {share}"
    return limit_gate(name, value, limit, f"{told} (limit {write_percent(limit)}).{advice if value > limit else ''}")
