"""KFP faces of the data phase, in the order they run."""

from kfp.dsl import Artifact, Input, Output

from components.base.step import step


@step
def ingest(problem: Input[Artifact], as_of: str) -> str:
    """Snapshot what the landing zone knew at `as_of`; return the S3 prefix of the snapshot."""
    from components.base.adapters.s3 import open_store
    from components.base.contract.load import read_problem
    from components.base.settings import load_settings
    from components.base.times import parse_time
    from components.data.ingest import ingest_sources

    return ingest_sources(read_problem(problem.path), parse_time(as_of), open_store(load_settings())).prefix


@step
def validate(problem: Input[Artifact], snapshot: str, accepted: Output[Artifact]):
    """Accept, filter or quarantine every row of the snapshot; describe the accepted ones."""
    from pathlib import Path

    from components.base.adapters.s3 import open_store
    from components.base.contract.load import read_problem
    from components.base.settings import load_settings
    from components.data.snapshot import read_snapshot
    from components.data.validate import validate_snapshot

    state = read_snapshot(open_store(load_settings()), snapshot)
    validate_snapshot(read_problem(problem.path), state, Path(accepted.path))
