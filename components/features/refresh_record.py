"""Keep the result of a refresh: the quality of the data, the place of the feature tables, and `as_of`.

In: the folder of accepted sources, the prefix of the feature tables, `as_of`. Out: `quality.json` as validation wrote
it, and `summary.json`. Called by the `record` step, the last of the refresh pipeline; computes nothing.
"""

import shutil
from datetime import datetime
from pathlib import Path

from components.base import documents


class RefreshSummary(documents.Document):
    """What a refresh was made for, and where its feature tables are."""

    as_of: datetime
    features_uri: str
    """Folder or `s3://` prefix."""


def record_refresh(accepted: Path, features_uri: str, as_of: datetime, folder: Path) -> None:
    """Write the record of a refresh into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(accepted / "quality.json", folder / "quality.json")
    documents.write(RefreshSummary(as_of=as_of, features_uri=features_uri), folder / "summary.json")
