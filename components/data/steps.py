"""KFP faces of the data phase, in the order they run."""

from kfp.dsl import Artifact, Output

from components.base.step import step


@step
def ingest(contract: str, as_of: str) -> str:
    """Snapshot what the landing zone knew at `as_of`; return the S3 prefix of the snapshot."""
    from components.base.adapters.s3 import open_store
    from components.base.contract.stored import fetch_problem
    from components.base.settings import load_settings
    from components.base.times import parse_time
    from components.data.ingest import ingest_sources

    settings = load_settings()
    return ingest_sources(fetch_problem(contract, settings), parse_time(as_of), open_store(settings)).prefix


@step
def validate(contract: str, snapshot: str, accepted: Output[Artifact]):
    """Accept, filter or quarantine every row of the snapshot; describe the accepted ones."""
    from pathlib import Path

    from components.base.adapters.s3 import open_store
    from components.base.contract.stored import fetch_problem
    from components.base.settings import load_settings
    from components.data.run_end import publish_quality
    from components.data.snapshot import read_snapshot
    from components.data.validate import validate_snapshot

    settings = load_settings()
    store = open_store(settings)
    state = read_snapshot(store, snapshot)
    publish_quality(store, validate_snapshot(fetch_problem(contract, settings), state, Path(accepted.path)))
