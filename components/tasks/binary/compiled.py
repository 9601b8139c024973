"""Take fitted binary classifiers and their ensembles apart into numpy, and their trees into treelite.

In: a fitted scikit-learn estimator. Out: a `Response`, the function that calibration and stacking see, from which the
probability of the positive class follows. Called through `BinaryTask.compile` as the predictor loads.

Notation
    n    rows
    x    what the estimator takes: a `Batch` of feature rows for a pipeline, X (n, columns) for a part inside one
    f    response (n,): the log-odds of the positive class, or its probability

Fitted attributes are read here, which may change: `compile_scorer` compares every model with its scikit-learn pipeline
before it serves.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from components.serving.predictor.compiled.encoders import (
    CannotCompileError,
    Matrix,
    chain,
    compile_columns,
    compile_step,
)
from components.serving.predictor.compiled.trees import compile_boosting, compile_forest

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Response:
    """What a classifier answers about the positive class."""

    compute: Callable[[Any], Vector]
    is_log_odds: bool

    def probability(self, x: Any) -> Vector:
        """Return the probability of the positive class (n,)."""
        f = self.compute(x)
        probability: Vector = expit(f) if self.is_log_odds else f
        return probability


def compile_classifier(estimator: Any) -> Response:
    """Compile a fitted binary classifier, a pipeline that ends in one, or an ensemble of them.

    Raises:
        CannotCompileError: when a part has no compiled form.
        ImportError: when treelite is needed and is not installed.
    """
    if len(estimator.classes_) != 2:
        raise CannotCompileError(f"a binary classifier is needed, but it has {len(estimator.classes_)} classes")
    build = _CLASSIFIERS.get(type(estimator).__name__)
    if build is None:
        raise CannotCompileError(f"classifier {type(estimator).__name__} has no compiled form")
    return build(estimator)


def _pipeline(estimator: Any) -> Response:
    parts = [part for _, part in estimator.steps]
    inner = compile_classifier(parts[-1])
    if not parts[:-1]:
        return inner
    if not hasattr(parts[0], "transformers_"):
        before = chain([compile_step(part) for part in parts[:-1]])
        return Response(lambda x: inner.compute(before(x)), inner.is_log_odds)
    encode = compile_columns(parts[0])
    after = [compile_step(part) for part in parts[1:-1]]
    run = chain(after) if after else None
    compute = inner.compute
    if run is None:
        return Response(lambda x: compute(encode(x)), inner.is_log_odds)
    return Response(lambda x: compute(run(encode(x))), inner.is_log_odds)


def _logistic(estimator: Any) -> Response:
    weights, intercept = np.ascontiguousarray(estimator.coef_[0]), float(estimator.intercept_[0])
    return Response(lambda X: X @ weights + intercept, is_log_odds=True)


def _boosting(estimator: Any) -> Response:
    return Response(compile_boosting(estimator), is_log_odds=True)


def _forest(estimator: Any) -> Response:
    predict = compile_forest(estimator)
    return Response(lambda X: predict(X)[:, 1], is_log_odds=False)


_ACTIVATIONS: dict[str, Callable[[Matrix], Matrix]] = {
    "identity": lambda X: X,
    "relu": lambda X: np.maximum(X, 0),
    "tanh": np.tanh,
    "logistic": expit,
}


def _network(estimator: Any) -> Response:
    if estimator.out_activation_ != "logistic":
        raise CannotCompileError(f"MLPClassifier must end in a logistic unit, but ends in {estimator.out_activation_}")
    activation = _ACTIVATIONS[estimator.activation]
    *hidden, last = zip(estimator.coefs_, estimator.intercepts_, strict=True)

    def compute(X: Matrix) -> Vector:
        for weights, intercepts in hidden:
            X = activation(X @ weights + intercepts)
        probability: Vector = expit((X @ last[0] + last[1])[:, 0])
        return probability

    # scikit-learn's network has no decision_function: calibration and stacking see its probability.
    return Response(compute, is_log_odds=False)


def _naive_bayes(estimator: Any) -> Response:
    means, variances = estimator.theta_, estimator.var_
    constants = np.log(estimator.class_prior_) - 0.5 * np.sum(np.log(2 * np.pi * variances), axis=1)

    def log_joint(X: Matrix, k: int) -> Vector:
        joint: Vector = constants[k] - 0.5 * np.sum((X - means[k]) ** 2 / variances[k], axis=1)
        return joint

    # No decision_function here either.
    return Response(lambda X: expit(log_joint(X, 1) - log_joint(X, 0)), is_log_odds=False)


def _voting(estimator: Any) -> Response:
    if estimator.voting != "soft":
        raise CannotCompileError("VotingClassifier must vote softly, by probabilities")
    members = [compile_classifier(member) for member in estimator.estimators_]
    weights = estimator.weights
    if weights is not None:
        # scikit-learn keeps the weights of members that were dropped before the fit.
        named = zip(estimator.estimators, weights, strict=True)
        weights = [weight for (_, member), weight in named if not (isinstance(member, str) and member == "drop")]
    return Response(
        lambda x: np.average([member.probability(x) for member in members], axis=0, weights=weights), is_log_odds=False
    )


def _stacking(estimator: Any) -> Response:
    if estimator.passthrough:
        raise CannotCompileError("StackingClassifier must not pass the features through")
    members: list[Callable[[Any], Vector]] = []
    for fitted, method in zip(estimator.estimators_, estimator.stack_method_, strict=True):
        member = compile_classifier(fitted)
        if method == "predict_proba":
            members.append(member.probability)
        elif method == "decision_function" and member.is_log_odds:
            members.append(member.compute)
        else:
            raise CannotCompileError(f"stacking by {method} has no compiled form")
    final = compile_classifier(estimator.final_estimator_)
    return Response(lambda x: final.compute(np.column_stack([see(x) for see in members])), final.is_log_odds)


def _calibrated(estimator: Any) -> Response:
    pairs = [
        (compile_classifier(pair.estimator), compile_calibrator(pair.calibrators))
        for pair in estimator.calibrated_classifiers_
    ]
    if len(pairs) == 1:
        inner, calibrate = pairs[0]
        return Response(lambda x: calibrate(inner.compute(x)), is_log_odds=False)
    return Response(
        lambda x: np.mean([calibrate(inner.compute(x)) for inner, calibrate in pairs], axis=0), is_log_odds=False
    )


def compile_calibrator(calibrators: Sequence[Any]) -> Callable[[Vector], Vector]:
    """Compile the one calibrator of a binary classifier: Platt's sigmoid or isotonic steps.

    Raises:
        CannotCompileError: when it is neither.
    """
    (calibrator,) = calibrators
    if hasattr(calibrator, "X_thresholds_"):
        positions, heights = calibrator.X_thresholds_, calibrator.y_thresholds_
        return lambda f: np.interp(f, positions, heights)
    if hasattr(calibrator, "a_") and hasattr(calibrator, "b_"):
        slope, shift = float(calibrator.a_), float(calibrator.b_)
        return lambda f: expit(-(slope * f + shift))
    raise CannotCompileError(f"calibrator {type(calibrator).__name__} has no compiled form")


_CLASSIFIERS: dict[str, Callable[[Any], Response]] = {
    "Pipeline": _pipeline,
    "FrozenEstimator": lambda estimator: compile_classifier(estimator.estimator),
    "LogisticRegression": _logistic,
    "HistGradientBoostingClassifier": _boosting,
    "RandomForestClassifier": _forest,
    "ExtraTreesClassifier": _forest,
    "MLPClassifier": _network,
    "GaussianNB": _naive_bayes,
    "VotingClassifier": _voting,
    "StackingClassifier": _stacking,
    "CalibratedClassifierCV": _calibrated,
}
