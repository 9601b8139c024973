"""KFP faces of the models phase, in the order they run."""

from typing import Dict, List

from kfp.dsl import Artifact, ClassificationMetrics, Input, Metrics, Output

from components.base.step import step


@step
def recall(contract: str) -> str:
    """Return the parameters of the champion, as JSON by family; tuning tries them second."""
    from json import dumps

    from components.base.contract.stored import fetch_problem
    from components.base.settings import load_settings
    from components.models.champion import fetch_champion_parameters

    settings = load_settings()
    return dumps(fetch_champion_parameters(fetch_problem(contract, settings).name, settings), sort_keys=True)


@step
def select(
    contract: str, prepared: Input[Artifact], champion: str, leaderboard: Output[Artifact]
) -> List[Dict[str, str]]:
    """Compare the candidate families and both baselines by cross-validation in time order; return who goes on.

    Each item holds the contract too: in a loop `kfp.local` puts the item in the place of what any step returned.
    """
    from json import loads

    from components.base.contract.stored import fetch_problem
    from components.base.dataset import read_prepared
    from components.base.documents import write
    from components.base.settings import load_settings
    from components.models.select import select_candidates
    from components.tasks import open_task

    task = open_task(fetch_problem(contract, load_settings()))
    board = select_candidates(task, read_prepared(prepared.path))
    write(board.model_copy(update={"champion": loads(champion)}), leaderboard.path)
    return [{"contract": contract, "family": family} for family in board.chosen]


@step
def tune(contract: str, family: str, prepared: Input[Artifact], leaderboard: Input[Artifact], search: Output[Artifact]):
    """Search the parameters of one chosen family."""
    from components.base.adapters.optuna import find_storage
    from components.base.contract.stored import fetch_problem
    from components.base.dataset import read_prepared
    from components.base.documents import read, write
    from components.base.settings import load_settings
    from components.models.batch import FamilySearch
    from components.models.documents import Leaderboard
    from components.models.tune import tune_family
    from components.tasks import open_task

    settings = load_settings()
    task, champion = open_task(fetch_problem(contract, settings)), read(Leaderboard, leaderboard.path).champion
    rows, storage = read_prepared(prepared.path), find_storage(settings)
    write(tune_family(FamilySearch(task, rows, family, champion.get(family), storage)), search.path)


@step
def ensemble(
    contract: str,
    prepared: Input[Artifact],
    searches: Input[List[Artifact]],
    model: Output[Artifact],
    tuned: Output[Artifact],
):
    """Make the model of all searches: single, voting or stacking, calibrated, with its policy."""
    from components.base.contract.stored import fetch_problem
    from components.base.dataset import read_prepared
    from components.base.documents import read, write
    from components.base.settings import load_settings
    from components.models.artifact import save_model
    from components.models.documents import TunedFamily
    from components.models.ensemble import build_ensemble
    from components.models.tune import rank_families
    from components.tasks import open_task

    task = open_task(fetch_problem(contract, load_settings()))
    ranked = rank_families(task, [read(TunedFamily, search.path) for search in searches])
    write(ranked, tuned.path)
    save_model(model.path, build_ensemble(task, read_prepared(prepared.path), ranked))


@step
def evaluate(
    contract: str,
    prepared: Input[Artifact],
    test: Input[Artifact],
    model: Input[Artifact],
    leaderboard: Input[Artifact],
    evaluation: Output[Artifact],
    metrics: Output[Metrics],
    classification: Output[ClassificationMetrics],
):
    """Score the model on test rows beside the champion and both baselines, and give the verdict."""
    from components.base.contract.stored import fetch_problem
    from components.base.dataset import read_prepared
    from components.base.documents import read
    from components.base.settings import load_settings
    from components.models.artifact import fingerprint_model, load_model
    from components.models.champion import fetch_champion, record_opening, require_selected
    from components.models.documents import Leaderboard
    from components.models.evaluate import evaluate_model, list_metrics, save_evaluation
    from components.tasks import open_task

    settings = load_settings()
    task, rows = open_task(fetch_problem(contract, settings)), read_prepared(prepared.path, test.path)
    challenger, champion = load_model(task, model.path), fetch_champion(task, settings)
    require_selected(challenger, read(Leaderboard, leaderboard.path))
    earlier = record_opening(task.problem.name, rows, fingerprint_model(model.path), settings)
    result = evaluate_model(rows, challenger, champion, earlier)
    save_evaluation(task, result, evaluation.path)
    metrics.metadata.update(list_metrics(result.evaluation))
    task.show_in_kubeflow(result.predictions, classification)


@step
def refit(
    contract: str,
    prepared: Input[Artifact],
    test: Input[Artifact],
    model: Input[Artifact],
    evaluation: Input[Artifact],
    served: Output[Artifact],
):
    """Fit the recipe of an accepted release once more on all rows, where contract and check allow it."""
    from pathlib import Path

    from components.base.contract.stored import fetch_problem
    from components.base.dataset import read_prepared
    from components.base.documents import read
    from components.base.settings import load_settings
    from components.models.artifact import load_model
    from components.models.documents import Evaluation
    from components.models.refit import refit_release, save_release
    from components.tasks import open_task

    task = open_task(fetch_problem(contract, load_settings()))
    verdict = read(Evaluation, Path(evaluation.path) / "evaluation.json").verdict
    rows, judged = read_prepared(prepared.path, test.path), load_model(task, model.path)
    save_release(Path(served.path), *refit_release(rows, judged, verdict))
