"""The predictor's imports: no client of Kubernetes, no SQL parser, no list of all estimators; and every model loads."""

import subprocess
import sys
from pathlib import Path

from sklearn.utils import all_estimators

from components.models.artifact import _is_public_estimator

ROOT = Path(__file__).parents[3]
_LOAD = """
import sys
from components.serving.predictor.lean_imports import import_lean
import_lean()
assert 'kubernetes' not in sys.modules, 'kubernetes'
import components.serving.predictor.server
assert 'sqlglot' not in sys.modules, 'the parser of SQL'
assert 'sklearn.gaussian_process' not in sys.modules, 'every module of scikit-learn'
from sklearn.utils import all_estimators
assert callable(all_estimators) and all_estimators is not list
from pathlib import Path
from components.base.contract.load import load_problem
from components.models.artifact import load_model
from components.tasks import open_task
model = load_model(open_task(load_problem(Path(sys.argv[1]))), Path(sys.argv[2]))
import kubernetes.client
print(type(model.estimator).__name__, kubernetes.client.V1Pod.__name__)
"""


def test_a_model_loads_and_the_real_client_can_still_be_imported(model_folder):
    contract = ROOT / "pipelines" / "problems" / "flight-delays.yaml"
    command = [sys.executable, "-W", "ignore", "-c", _LOAD, str(contract), str(model_folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.split() == ["Pipeline", "V1Pod"], done.stderr[-2000:]


def test_the_estimators_that_skops_trusts_are_trusted_by_the_same_rule():
    names = [f"{found.__module__}.{found.__name__}" for _, found in all_estimators()]
    assert [name for name in names if name.startswith("sklearn.") and not _is_public_estimator(name)] == []
    assert not _is_public_estimator("sklearn.calibration._CalibratedClassifier")
    assert not _is_public_estimator("sklearn.base.clone")
    assert not _is_public_estimator("os.system")
