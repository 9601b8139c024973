"""Keep what a refresh brought: how the data are, where the feature tables lie, and for which moment.

In: the folder of accepted sources, the prefix of the feature tables, `as_of`. Out: `quality.json` as validation wrote
it, and `summary.json`. Called by the `record` step, the last of the refresh pipeline; computes nothing.
"""

import json
import shutil
from datetime import datetime
from pathlib import Path


def record_refresh(accepted: Path, features_uri: str, as_of: datetime, folder: Path) -> None:
    """Write the record of a refresh into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(accepted / "quality.json", folder / "quality.json")
    summary = {"as_of": as_of.isoformat(), "features_uri": features_uri}
    (folder / "summary.json").write_text(json.dumps(summary, indent=1))
