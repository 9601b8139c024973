"""KFP faces of the features phase, in the order they run."""

from kfp.dsl import Artifact, Input, Output

from components.base.step import step


@step
def build(contract: str, accepted: Input[Artifact]) -> str:
    """Build the feature tables and return their prefix in the object store."""
    from pathlib import Path

    from components.base.adapters.s3 import open_store
    from components.base.contract.stored import fetch_problem
    from components.base.documents import read
    from components.base.settings import load_settings
    from components.data.quality import Quality
    from components.features.build import publish_features

    settings, folder = load_settings(), Path(accepted.path)
    since = read(Quality, folder / "quality.json").since
    return publish_features(fetch_problem(contract, settings), folder, open_store(settings), since)


@step
def prepare(
    contract: str,
    accepted: Input[Artifact],
    features_uri: str,
    as_of: str,
    prepared: Output[Artifact],
    test: Output[Artifact],
):
    """Join features to examples as of their prediction and give each example its role; test rows lie apart."""
    from pathlib import Path

    from components.base.contract.stored import fetch_problem
    from components.base.settings import load_settings
    from components.base.times import parse_time
    from components.features.prepare import prepare_rows
    from components.tasks import open_task

    task = open_task(fetch_problem(contract, load_settings()))
    out, test_out = Path(prepared.path), Path(test.path)
    prepare_rows(task, Path(accepted.path), features_uri, parse_time(as_of), out, test_out)


@step
def materialize(contract: str, features_uri: str, as_of: str):
    """Fill the online store with what was known at `as_of`."""
    from components.base.contract.stored import fetch_problem
    from components.base.settings import load_settings
    from components.base.times import parse_time
    from components.features.online.materialize import fill_online_store

    settings = load_settings()
    fill_online_store(settings, fetch_problem(contract, settings), features_uri, parse_time(as_of))


@step
def explore(contract: str, prepared: Input[Artifact], profile: Output[Artifact]):
    """Describe the training rows in findings with a picture each, and profile them."""
    from pathlib import Path

    from components.base.contract.stored import fetch_problem
    from components.base.dataset import read_prepared
    from components.base.settings import load_settings
    from components.features.explore.explore import explore_training_rows
    from components.tasks import open_task

    task = open_task(fetch_problem(contract, load_settings()))
    explore_training_rows(task, read_prepared(prepared.path), Path(profile.path))


@step
def record(accepted: Input[Artifact], features_uri: str, as_of: str, refreshed: Output[Artifact]):
    """Keep the quality report of a refresh and the place of its feature tables."""
    from pathlib import Path

    from components.base.times import parse_time
    from components.features.refresh_record import record_refresh

    record_refresh(Path(accepted.path), features_uri, parse_time(as_of), Path(refreshed.path))
