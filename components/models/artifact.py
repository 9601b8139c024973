"""A fitted model on disk: `model.skops` holds the estimator, `model.json` everything else that a prediction needs.

Written by `ensemble` and `refit`, read by `evaluate`, by registration and by the predictor. A version of the registry
holds the served model, and in its folder `judged` the one that was judged, where that is another. Never pickle: skops
builds only the types of `TRUSTED_TYPES` and refuses a file that names any other.
"""

import importlib
import inspect
import io
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import model_validator

from components.base.dataset import Feature
from components.base.documents import Document, read, write
from components.base.errors import DataError, ModelRefusedError
from components.base.tables import fingerprint_files
from components.base.task import Kind, Output, Policy, Task
from components.models.documents import ModelDetails

JUDGED = "judged"
"""The folder of the judged model in a version that serves another one; it is read as any model."""
_ESTIMATOR = "model.skops"
_DESCRIPTION = "model.json"
_SCHEMA = "schema.json"
# Of an object, and of the file that holds an array.
_ADDRESS = re.compile(r'(?<="__id__": )\d+|(?<="file": ")\d+')

# Beside the public scikit-learn estimators and NumPy arrays that skops trusts by itself.
TRUSTED_TYPES: tuple[str, ...] = (
    "components.tasks.regression.interval.ConformalRegressor",
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


class ModelDescription(Document):
    """`model.json`: a model without its estimator."""

    policy: dict[str, Any]
    """The rule that makes decisions of its outputs, as `Task.read_policy` reads it."""
    features: tuple[Feature, ...]
    """Model inputs in the order of the columns."""
    target: str
    family: str
    """Family of a single model, or the families of an ensemble joined by `+`."""
    kind: Kind
    calibration: str
    """Method of the calibration; `none` without one."""
    details: ModelDetails | None = None
    """Comparison of single, voting and stacking, calibration, search of the policy: what `ensemble` found."""

    @model_validator(mode="before")
    @classmethod
    def _read_threshold(cls, described: dict[str, Any]) -> dict[str, Any]:
        """Read a model of an older platform, whose policy was one number and whose details had another form."""
        if "threshold" not in described:
            return described
        kept = {name: value for name, value in described.items() if name not in ("threshold", "details")}
        return kept | {"policy": {"kind": "threshold", "threshold": described["threshold"]}}


@dataclass(frozen=True)
class Model:
    """A fitted model with its policy and the columns that it reads."""

    task: Task
    estimator: Any
    """Fitted scikit-learn estimator; it takes a DataFrame of the feature columns."""
    policy: Policy
    description: ModelDescription

    @property
    def features(self) -> tuple[Feature, ...]:
        """Model inputs in the order of the columns."""
        return self.description.features

    @property
    def family(self) -> str:
        """Family of a single model, or the families of an ensemble joined by `+`."""
        return self.description.family

    @property
    def feature_names(self) -> list[str]:
        """Names of the columns that the estimator reads, in order."""
        return [feature.name for feature in self.features]

    def predict(self, rows: pd.DataFrame) -> Output:
        """Return the output for each row, shape (n, k)."""
        return self.task.predict(self.estimator, rows[self.feature_names])


def save_model(folder: Path | str, model: Model) -> None:
    """Write `model.skops` and `model.json` into the folder, which is made when it is missing.

    The same model gives the same bytes: skops names its parts by their addresses in memory and stamps them with the
    time, so they are numbered anew in their order, with one time for all.
    """
    import skops.io

    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(io.BytesIO(skops.io.dumps(model.estimator))) as dumped:
        schema = dumped.read(_SCHEMA).decode()
        numbers = {found: str(place) for place, found in enumerate(dict.fromkeys(_ADDRESS.findall(schema)), 1)}
        parts = {name: numbers[Path(name).stem] + Path(name).suffix for name in dumped.namelist() if name != _SCHEMA}
        texts = {part: dumped.read(name) for name, part in parts.items()}
        texts[_SCHEMA] = _ADDRESS.sub(lambda found: numbers[found[0]], schema).encode()
    with zipfile.ZipFile(place / _ESTIMATOR, "w") as file:
        for part, text in texts.items():
            file.writestr(zipfile.ZipInfo(part), text, zipfile.ZIP_DEFLATED, compresslevel=1)
    write(model.description, place / _DESCRIPTION)


def load_model(task: Task, folder: Path | str) -> Model:
    """Read a model that `save_model` wrote.

    Raises:
        ModelRefusedError: when a file is missing or damaged, or names a type outside `TRUSTED_TYPES`.
    """
    import skops.io

    place = Path(folder)
    path = place / _ESTIMATOR
    description = read_description(place)
    try:
        named = set(skops.io.get_untrusted_types(file=path))
        # skops trusts them by itself, unless a predictor has imported it without its list of them.
        trusted = {*TRUSTED_TYPES, *filter(_is_public_estimator, named)}
        strangers = sorted(named - trusted)
        if strangers:
            raise ModelRefusedError(
                f"model {path}: every type must be in the allow list of components/models/artifact.py, but got "
                f"{', '.join(strangers)}. Load only models that this platform has written."
            )
        estimator = skops.io.load(path, trusted=sorted(trusted))
        return Model(task, estimator, task.read_policy(description.policy), description)
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise _refuse(place, error) from error


def fingerprint_model(folder: Path | str) -> str:
    """Return the SHA-256 over `model.skops` and `model.json`: the same digits mean the same predictions."""
    return fingerprint_files(Path(folder) / name for name in (_ESTIMATOR, _DESCRIPTION))


def _is_public_estimator(name: str) -> bool:
    """Return whether a type is one that `sklearn.utils.all_estimators` lists."""
    module, _, kind = name.rpartition(".")
    if not module.startswith("sklearn.") or ".tests" in module or kind.startswith("_"):
        return False
    from sklearn.base import BaseEstimator

    found = getattr(importlib.import_module(module), kind, None)
    return isinstance(found, type) and issubclass(found, BaseEstimator) and not inspect.isabstract(found)


def read_description(folder: Path | str) -> ModelDescription:
    """Read a model without its estimator.

    Raises:
        ModelRefusedError: `model.json` is missing or damaged.
    """
    try:
        return read(ModelDescription, Path(folder) / _DESCRIPTION)
    except DataError as error:
        raise _refuse(folder, error) from error


def _refuse(folder: Path | str, error: Exception) -> ModelRefusedError:
    return ModelRefusedError(
        f"model {folder}: {_DESCRIPTION} and {_ESTIMATOR} must be readable, but got {error!r}. "
        "Train the model again, or fetch it from the registry again."
    )
