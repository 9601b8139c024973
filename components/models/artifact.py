"""A fitted model on disk: `model.skops` holds the estimator, `model.json` everything else that a prediction needs.

Written by `ensemble`, read by `evaluate`, by registration and by the predictor. Never pickle: skops builds only the
types of `TRUSTED_TYPES` and refuses a file that names any other.
"""

import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import orjson
import pandas as pd
from numpy.typing import NDArray

from components.base.dataset import Feature
from components.base.errors import ModelRefusedError

Kind = Literal["single", "voting", "stacking"]
Calibration = Literal["none", "sigmoid", "isotonic"]

_ESTIMATOR = "model.skops"
_DESCRIPTION = "model.json"

# Beside the public scikit-learn estimators and NumPy arrays that skops trusts by itself.
TRUSTED_TYPES: tuple[str, ...] = (
    "functools.partial",  # HistGradientBoosting's own encoder wraps check_array
    "numpy.clip",  # limits outliers in the dense families
    "numpy.dtype",
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "sklearn.tree._tree.Tree",
    "sklearn.utils._bunch.Bunch",
    "sklearn.utils.validation.check_array",
)


@dataclass(frozen=True)
class Model:
    """A classifier with its decision threshold and the columns that it reads."""

    estimator: Any
    """Fitted scikit-learn classifier; `predict_proba` takes a DataFrame of the feature columns."""
    threshold: float
    """The action is taken at or above this probability."""
    features: tuple[Feature, ...]
    """Model inputs in the order of the columns."""
    target: str
    family: str
    """Family of a single model, or the families of an ensemble joined by `+`."""
    kind: Kind
    calibration: Calibration
    details: dict[str, Any] = field(default_factory=dict)
    """Comparison of single, voting and stacking, calibration, threshold curve: what `ensemble` found."""

    @property
    def feature_names(self) -> list[str]:
        """Names of the columns that the estimator reads, in order."""
        return [feature.name for feature in self.features]

    def predict(self, rows: pd.DataFrame) -> NDArray[np.float64]:
        """Return the probability of outcome 1 for each row, shape (n,)."""
        probabilities: NDArray[np.float64] = self.estimator.predict_proba(rows[self.feature_names])[:, 1]
        return probabilities


def save_model(folder: Path | str, model: Model) -> None:
    """Write `model.skops` and `model.json` into the folder, which is made when it is missing."""
    import skops.io

    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    skops.io.dump(model.estimator, place / _ESTIMATOR, compression=zipfile.ZIP_DEFLATED, compresslevel=1)
    described = {name: value for name, value in vars(model).items() if name != "estimator"}
    (place / _DESCRIPTION).write_bytes(orjson.dumps(described, option=orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY))


def load_model(folder: Path | str) -> Model:
    """Read a model that `save_model` wrote.

    Raises:
        ModelRefusedError: when a file is missing or damaged, or names a type outside `TRUSTED_TYPES`.
    """
    place = Path(folder)
    try:
        described = orjson.loads((place / _DESCRIPTION).read_bytes())
        described["features"] = tuple(Feature(**feature) for feature in described["features"])
        return Model(estimator=_load_estimator(place / _ESTIMATOR), **described)
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise ModelRefusedError(
            f"model {place}: {_DESCRIPTION} and {_ESTIMATOR} must be readable, but got {error!r}. "
            "Train the model again, or fetch it from the registry again."
        ) from error


def read_features(folder: Path | str) -> tuple[Feature, ...]:
    """Read the model's inputs without its estimator, in the order of the columns."""
    described = orjson.loads((Path(folder) / _DESCRIPTION).read_bytes())
    return tuple(Feature(**feature) for feature in described["features"])


def _load_estimator(path: Path) -> Any:
    import skops.io

    strangers = sorted(set(skops.io.get_untrusted_types(file=path)) - set(TRUSTED_TYPES))
    if strangers:
        raise ModelRefusedError(
            f"model {path}: every type must be in the allow list of components/models/artifact.py, but got "
            f"{', '.join(strangers)}. Load only models that this platform has written."
        )
    return skops.io.load(path, trusted=list(TRUSTED_TYPES))
