"""KFP faces of the models phase, in the order they run."""

from kfp.dsl import Artifact, ClassificationMetrics, Input, Metrics, Output

from components.base.step import step


@step
def select(problem: Input[Artifact], prepared: Input[Artifact], leaderboard: Output[Artifact]):
    """Compare the candidate families and both baselines by cross-validation in time order."""
    from components.base.contract.load import read_problem
    from components.base.dataset import read_prepared
    from components.models.documents import write_document
    from components.models.select import select_candidates

    write_document(select_candidates(read_problem(problem.path), read_prepared(prepared.path)), leaderboard.path)


@step
def tune(problem: Input[Artifact], prepared: Input[Artifact], leaderboard: Input[Artifact], tuned: Output[Artifact]):
    """Search the parameters of the chosen families within the budget."""
    from components.base.contract.load import read_problem
    from components.base.dataset import read_prepared
    from components.models.documents import read_document, write_document
    from components.models.tune import tune_candidates

    chosen = read_document(leaderboard.path)
    write_document(tune_candidates(read_problem(problem.path), read_prepared(prepared.path), chosen), tuned.path)


@step
def ensemble(problem: Input[Artifact], prepared: Input[Artifact], tuned: Input[Artifact], model: Output[Artifact]):
    """Make the model: single, voting or stacking, calibrated, with its threshold."""
    from components.base.contract.load import read_problem
    from components.base.dataset import read_prepared
    from components.models.artifact import save_model
    from components.models.documents import read_document
    from components.models.ensemble import build_ensemble

    found = read_document(tuned.path)
    save_model(model.path, build_ensemble(read_problem(problem.path), read_prepared(prepared.path), found))


@step
def evaluate(
    problem: Input[Artifact],
    prepared: Input[Artifact],
    model: Input[Artifact],
    leaderboard: Input[Artifact],
    evaluation: Output[Artifact],
    metrics: Output[Metrics],
    classification: Output[ClassificationMetrics],
):
    """Judge the model on test rows, beside the champion and both baselines."""
    from components.base.contract.load import read_problem
    from components.base.dataset import read_prepared
    from components.base.settings import load_settings
    from components.models.artifact import load_model
    from components.models.champion import fetch_champion, record_opening, require_selected
    from components.models.documents import read_document
    from components.models.evaluate import evaluate_model
    from components.models.evaluation_files import list_metrics, list_roc_points, save_evaluation

    contract, rows, settings = read_problem(problem.path), read_prepared(prepared.path), load_settings()
    challenger, champion = load_model(model.path), fetch_champion(contract.name, settings)
    require_selected(challenger, read_document(leaderboard.path))
    earlier = record_opening(contract.name, rows, settings)
    judged = evaluate_model(contract, rows, challenger, champion, earlier)
    save_evaluation(judged, evaluation.path)
    metrics.metadata.update(list_metrics(judged))
    classification.log_roc_curve(*list_roc_points(judged))
