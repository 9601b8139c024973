"""Write an evaluation to its folder, and pick out what the Kubeflow UI shows of it. Called by the `evaluate` step."""

from pathlib import Path

import numpy as np

from components.base.tables import write_table
from components.models.baselines import save_current_solution
from components.models.documents import write_document
from components.models.evaluate import Evaluation

# Points of the ROC curve in the artifact's metadata, which is kept in a database.
_ROC_POINTS = 50


def save_evaluation(evaluation: Evaluation, folder: Path | str) -> None:
    """Write `predictions.parquet` and `baseline.json`, then `evaluation.json`."""
    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    write_table(evaluation.predictions, place / "predictions.parquet")
    save_current_solution(evaluation.current_solution, place / "baseline.json")
    write_document(evaluation.document, place / "evaluation.json")


def list_metrics(evaluation: Evaluation) -> dict[str, float]:
    """Return the scores and the value of every contender, by `<contender>_<metric>`."""
    metrics = {}
    for role, contender in evaluation.document["contenders"].items():
        estimates = {name: interval["estimate"] for name, interval in contender["scores"].items()}
        estimates["value_per_1000"] = contender["value_per_1000"]["estimate"]
        metrics.update({f"{role}_{name}": float(value) for name, value in estimates.items() if np.isfinite(value)})
    return metrics


def list_roc_points(evaluation: Evaluation) -> tuple[list[float], list[float], list[float]]:
    """Return false and true positive rates of the challenger with their thresholds, at most 50 points."""
    from sklearn.metrics import roc_curve

    table = evaluation.predictions
    alarms, hits, thresholds = roc_curve(table[evaluation.target], table["p_challenger"])
    places = np.unique(np.linspace(0, len(alarms) - 1, _ROC_POINTS).astype(int))
    # The curve starts above every probability, which scikit-learn writes as infinity and JSON cannot.
    finite = np.where(np.isfinite(thresholds), thresholds, 1.0)
    return alarms[places].tolist(), hits[places].tolist(), finite[places].tolist()
