"""Compile a fitted scikit-learn pipeline into a fast function over plain feature rows, and prove that it is the same.

In: the estimator, its features and threshold, and a sample of feature rows. Out: a `Scorer`. Called by `served` as the
predictor loads. A pipeline costs 10 to 20 ms a row, nearly all of it pandas and checks; the compiled form about 0.3 ms.
Whatever cannot be compiled, or does not give the same probabilities on the sample, is served by the pipeline itself.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from components.base.dataset import Feature
from components.serving.predictor.compiled.classifiers import Vector, compile_classifier
from components.serving.predictor.compiled.encoders import Batch, CannotCompileError

# Sums in another order differ by some 1e-15; a real difference is larger than this.
MAXIMUM_DIFFERENCE = 1e-9
# The threshold is often the probability of a row itself: a last digit must not move such rows below it.
_TIE = 1e-12
# No training category has this name; it stands for an airport or aircraft that was never seen.
_UNSEEN = "never seen"

logger = logging.getLogger(__name__)
Row = dict[str, Any]


@dataclass(frozen=True)
class Scorer:
    """Gives probabilities of the positive class for feature rows."""

    score: Callable[[Sequence[Row]], Vector]
    """From n feature rows (name to value, None or NaN where missing) to the probabilities (n,)."""
    is_compiled: bool
    """False when the scikit-learn pipeline serves."""
    reason: str
    """Why the pipeline serves; empty when compiled."""


def compile_scorer(
    estimator: Any, features: Sequence[Feature], threshold: float, sample: pd.DataFrame | None
) -> Scorer:
    """Compile an estimator, or fall back to it.

    Args:
        estimator: Fitted, with `predict_proba` over a table of the feature columns.
        features: The columns in the order of the model.
        threshold: The decision is positive at or above it.
        sample: Rows of feature columns on which both forms are compared; without any, nothing can be proved.
    """
    by_pipeline = pipeline_scorer(estimator, features)
    if sample is None or sample.empty:
        return _fall_back(by_pipeline, "there is no sample to compare the probabilities on")
    # Whatever goes wrong in taking the pipeline apart (treelite missing, another scikit-learn), it still serves itself.
    try:
        response = compile_classifier(estimator)
        fault = _find_difference(lambda rows: response.probability(Batch(rows)), by_pipeline, sample, threshold)
    except CannotCompileError as error:
        return _fall_back(by_pipeline, str(error))
    except Exception as error:
        logger.debug("compiling failed", exc_info=error)
        return _fall_back(by_pipeline, f"{type(error).__name__}: {error}")
    if fault:
        return _fall_back(by_pipeline, fault)
    return Scorer(score=lambda rows: response.probability(Batch(rows)), is_compiled=True, reason="")


def decide(probabilities: Vector, threshold: float) -> NDArray[np.bool_]:
    """Decide for each probability (n,): at or above the threshold, rounding aside."""
    decisions: NDArray[np.bool_] = probabilities >= threshold - _TIE
    return decisions


def pipeline_scorer(estimator: Any, features: Sequence[Feature]) -> Callable[[Sequence[Row]], Vector]:
    """Return the function that scores feature rows with the scikit-learn pipeline, in one table."""
    names = [feature.name for feature in features]
    types = {feature.name: np.float64 if feature.kind == "numeric" else object for feature in features}

    def score(rows: Sequence[Row]) -> Vector:
        table = pd.DataFrame.from_records([[row[name] for name in names] for row in rows], columns=names)
        probabilities: Vector = np.asarray(estimator.predict_proba(table.astype(types))[:, 1], dtype=np.float64)
        return probabilities

    return score


def _fall_back(score: Callable[[Sequence[Row]], Vector], reason: str) -> Scorer:
    logger.warning("compile: the scikit-learn pipeline serves, which is slow: %s", reason)
    return Scorer(score=score, is_compiled=False, reason=reason)


def _find_difference(
    compiled: Callable[[Sequence[Row]], Vector],
    pipeline: Callable[[Sequence[Row]], Vector],
    sample: pd.DataFrame,
    threshold: float,
) -> str:
    """Return in words where the two differ, or an empty text."""
    rows = _harden(_rows(sample))
    ours, theirs = compiled(rows), pipeline(rows)
    difference = float(np.max(np.abs(ours - theirs)))
    if not difference <= MAXIMUM_DIFFERENCE:
        return f"probabilities must agree within {MAXIMUM_DIFFERENCE:g}, but differ by {difference:.3g}"
    flips = int(np.sum(decide(ours, threshold) != decide(theirs, threshold)))
    return f"decisions must agree, but {flips} of {len(rows)} differ" if flips else ""


def _rows(sample: pd.DataFrame) -> list[Row]:
    plain = sample.astype(object).where(sample.notna(), None)
    names = [str(name) for name in plain.columns]
    return [dict(zip(names, row, strict=True)) for row in plain.itertuples(index=False, name=None)]


def _harden(rows: list[Row]) -> list[Row]:
    """Return the rows, each once more with one value missing and with one text never seen, and a row of nothing."""
    names = list(rows[0])
    texts = [name for name in names if any(isinstance(row[name], str) for row in rows)]
    gaps = [{**row, names[i % len(names)]: None} for i, row in enumerate(rows)]
    unseen = [{**row, texts[i % len(texts)]: _UNSEEN} for i, row in enumerate(rows)] if texts else []
    return [*rows, *gaps, *unseen, dict.fromkeys(names)]
