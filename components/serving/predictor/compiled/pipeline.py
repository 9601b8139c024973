"""Compile a fitted model into a fast function over plain feature rows, and prove that it is the same.

In: a model and a sample of feature rows. Out: a `Scorer`. Called by `load_served` as the predictor loads. A
scikit-learn pipeline costs 10 to 20 ms a row, nearly all of it pandas and checks; the compiled form about 0.3 ms. What
cannot be compiled, or does not give the same outputs on the sample, is served by the pipeline itself.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from components.base.task import Output, find_other_decisions
from components.models.artifact import Model
from components.serving.predictor.compiled.encoders import Batch, CannotCompileError

# Sums in another order differ by some 1e-15; a real difference is larger than this.
MAXIMUM_DIFFERENCE = 1e-9
# No training category has this name; it represents an airport or aircraft that was never seen.
_UNSEEN = "never seen"

logger = logging.getLogger(__name__)
Row = dict[str, Any]
Score = Callable[[Sequence[Row]], Output]


@dataclass(frozen=True)
class Scorer:
    """Gives the outputs of a model for feature rows."""

    score: Score
    """From n feature rows (name to value, None or NaN where missing) to the output, shape (n, k)."""
    is_compiled: bool
    """False when the scikit-learn pipeline serves."""
    reason: str
    """Why the pipeline serves; empty when compiled."""


def compile_scorer(model: Model, sample: pd.DataFrame | None) -> Scorer:
    """Compile a model, or fall back to its pipeline.

    Args:
        model: Fitted.
        sample: Rows of feature columns on which both forms are compared; without any, nothing can be proved.
    """
    by_pipeline = pipeline_scorer(model)
    if sample is None or sample.empty:
        return _fall_back(by_pipeline, "there is no sample to compare the outputs on")
    # Whatever goes wrong in taking the pipeline apart (treelite missing, another scikit-learn), it still serves itself.
    try:
        compute = model.task.compile(model.estimator)
        fault = _find_difference(model, lambda rows: compute(Batch(rows)), by_pipeline, sample)
    except CannotCompileError as error:
        return _fall_back(by_pipeline, str(error))
    except Exception as error:
        logger.debug("compiling failed", exc_info=error)
        return _fall_back(by_pipeline, f"{type(error).__name__}: {error}")
    if fault:
        return _fall_back(by_pipeline, fault)
    return Scorer(score=lambda rows: compute(Batch(rows)), is_compiled=True, reason="")


def pipeline_scorer(model: Model) -> Score:
    """Return the function that scores feature rows with the scikit-learn pipeline, in one table, as training did."""
    names = model.feature_names
    types = {feature.name: np.float64 if feature.kind == "numeric" else object for feature in model.features}

    def score(rows: Sequence[Row]) -> Output:
        table = pd.DataFrame.from_records([[row[name] for name in names] for row in rows], columns=names)
        return model.task.predict(model.estimator, table.astype(types))

    return score


def _fall_back(score: Score, reason: str) -> Scorer:
    logger.warning("compile: the scikit-learn pipeline serves, which is slow: %s", reason)
    return Scorer(score=score, is_compiled=False, reason=reason)


def _find_difference(model: Model, compiled: Score, pipeline: Score, sample: pd.DataFrame) -> str:
    """Return in words where the two differ, or an empty text.

    Compared are the rows, each once more with one value missing and with one text never seen, and a row of nothing.
    """
    plain = sample.astype(object).where(sample.notna(), None)
    names = [str(name) for name in plain.columns]
    given: list[Row] = [dict(zip(names, row, strict=True)) for row in plain.itertuples(index=False, name=None)]
    texts = [name for name in names if any(isinstance(row[name], str) for row in given)]
    gaps = [{**row, names[i % len(names)]: None} for i, row in enumerate(given)]
    unseen = [{**row, texts[i % len(texts)]: _UNSEEN} for i, row in enumerate(given)] if texts else []
    rows = [*given, *gaps, *unseen, dict.fromkeys(names)]
    ours, theirs = compiled(rows), pipeline(rows)
    difference = float(np.max(np.abs(ours - theirs)))
    if not difference <= MAXIMUM_DIFFERENCE:
        return f"outputs must agree within {MAXIMUM_DIFFERENCE:g}, but differ by {difference:.3g}"
    flips = int(find_other_decisions(model.policy.apply(ours), model.policy.apply(theirs)).sum())
    return f"decisions must agree, but {flips} of {len(rows)} differ" if flips else ""
