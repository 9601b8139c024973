"""The model of the last training on this machine beside LightGBM and CatBoost with early stopping, on the same rows.

All are fitted on train and validation rows and scored on the test rows, which none of them has seen. The peers take
their rounds from validation rows; ours is the model that the training chose, tuned and judged. Run `make demo` before.
"""

import json
import subprocess
from pathlib import Path

from rich.console import Console
from rich.table import Table

from components.base.documents import read
from components.base.settings import load_settings
from components.models.documents import Evaluation
from tests.benchmarks.environments import make_environment

PINS = ("lightgbm==4.7.0", "catboost==1.2.10", "pandas==2.3.3", "scikit-learn==1.9.1", "pyarrow")


def main() -> None:
    """Print one row a model."""
    run = find_training()
    evaluation = read(Evaluation, run / "evaluate" / "evaluation" / "evaluation.json")
    ours = evaluation.contenders["challenger"]
    scores = {f"ours ({ours.label})": ours.scores[evaluation.metric].estimate}
    scores |= {name: found["score"] for name, found in run_peers(run / "prepare", evaluation.metric).items()}
    table = Table(title=f"{evaluation.metric} on {evaluation.opened.rows:,} test rows", box=None)
    table.add_column("model")
    table.add_column("score", justify="right")
    for name, score in sorted(scores.items(), key=lambda entry: entry[1], reverse=evaluation.higher_is_better):
        table.add_row(name, f"{score:.4f}")
    Console().print(table)


def find_training() -> Path:
    """Return the folder of the last training that came to its evaluation."""
    done = sorted(load_settings().home.glob("runs/*/steps/training-*/evaluate/evaluation/evaluation.json"))
    if not done:
        raise SystemExit("models: a training must have been evaluated here, but none was. Run make demo first.")
    return done[-1].parents[2]


def run_peers(prepared: Path, metric: str) -> dict[str, dict[str, float]]:
    """Fit the peers in their environment and return what they print."""
    script = Path(__file__).with_name("models_peers.py")
    command = [
        str(make_environment("models", PINS) / "bin" / "python"),
        str(script),
        str(prepared / "prepared"),
        str(prepared / "test"),
        metric,
    ]
    found: dict[str, dict[str, float]] = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return found


if __name__ == "__main__":
    main()
