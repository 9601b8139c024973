"""KFP faces of the features phase, in the order they run."""

from kfp.dsl import Artifact, Input, Output

from components.base.step import step


@step
def build(problem: Input[Artifact], accepted: Input[Artifact]) -> str:
    """Build the feature tables and return their prefix in the object store."""
    from pathlib import Path

    from components.base.adapters.s3 import open_store
    from components.base.contract.load import read_problem
    from components.base.settings import load_settings
    from components.features.build import publish_features

    return publish_features(read_problem(problem.path), Path(accepted.path), open_store(load_settings()))


@step
def prepare(
    problem: Input[Artifact], accepted: Input[Artifact], features_uri: str, as_of: str, prepared: Output[Artifact]
):
    """Join features to examples as of their prediction and give each example its role."""
    from pathlib import Path

    from components.base.contract.load import read_problem
    from components.base.times import parse_time
    from components.features.prepare import prepare_rows
    from components.tasks import open_task

    task = open_task(read_problem(problem.path))
    prepare_rows(task, Path(accepted.path), features_uri, parse_time(as_of), Path(prepared.path))


@step
def materialize(problem: Input[Artifact], features_uri: str, as_of: str):
    """Fill the online store with what was known at `as_of`."""
    from components.base.contract.load import read_problem
    from components.base.settings import load_settings
    from components.base.times import parse_time
    from components.features.online.materialize import fill_online_store

    fill_online_store(load_settings(), read_problem(problem.path), features_uri, parse_time(as_of))


@step
def explore(problem: Input[Artifact], prepared: Input[Artifact], profile: Output[Artifact]):
    """Describe the training rows in findings with a picture each, and profile them."""
    from pathlib import Path

    from components.base.contract.load import read_problem
    from components.base.dataset import read_prepared
    from components.features.explore.explore import explore_training_rows
    from components.tasks import open_task

    explore_training_rows(open_task(read_problem(problem.path)), read_prepared(prepared.path), Path(profile.path))


@step
def record(accepted: Input[Artifact], features_uri: str, as_of: str, refreshed: Output[Artifact]):
    """Keep the quality report of a refresh and the place of its feature tables."""
    from pathlib import Path

    from components.base.times import parse_time
    from components.features.refresh_record import record_refresh

    record_refresh(Path(accepted.path), features_uri, parse_time(as_of), Path(refreshed.path))
