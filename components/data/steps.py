"""KFP faces of the data phase, in the order they run."""

from kfp.dsl import Artifact, Output

from components.base.step import step


@step
def ingest(contract: str, as_of: str, pipeline: str = "training") -> str:
    """Snapshot what the landing zone knew at `as_of`, as far back as the pipeline reads; return its S3 prefix."""
    from typing import cast

    from components.base.adapters.s3 import open_store
    from components.base.contract.stored import fetch_problem
    from components.base.runner import Pipeline
    from components.base.settings import load_settings
    from components.base.times import parse_time
    from components.data.history import find_since
    from components.data.ingest import ingest_sources

    settings = load_settings()
    problem, time = fetch_problem(contract, settings), parse_time(as_of)
    since = find_since(problem, cast(Pipeline, pipeline), time, settings)
    return ingest_sources(problem, time, open_store(settings), since).prefix


@step
def validate(contract: str, snapshot: str, accepted: Output[Artifact]):
    """Accept, filter or quarantine every row of the snapshot; describe the accepted ones and what changed in them."""
    from pathlib import Path

    from components.base.adapters.s3 import open_store
    from components.base.contract.stored import fetch_problem
    from components.base.settings import load_settings
    from components.data.run_end import find_earlier_quality, publish_quality
    from components.data.snapshot import read_snapshot
    from components.data.validate import validate_snapshot

    settings = load_settings()
    store = open_store(settings)
    state = read_snapshot(store, snapshot)
    earlier = find_earlier_quality(store, state.problem, state.as_of)
    publish_quality(store, validate_snapshot(fetch_problem(contract, settings), state, Path(accepted.path), earlier))
