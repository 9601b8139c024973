"""The champion as a comparator, and the record of how often test rows were opened.

In: the files of the registry's champion, the prepared rows. Out: a loaded `Champion`, the objection to comparing with
it, the number of other models that the rows were opened for. Called by the `evaluate` step and by `evaluate`.

A champion is compared by the model that it serves, if that has learned from none of the test rows: then they are all
later than what it knows, and it is what the challenger would replace. With a shorter while between two trainings the
test rows overlap those of the champion's own release, from which its served model has learned: then by its judged
model, which is older by its test rows, as the judged challenger is by these.
"""

import hashlib
import logging
import re
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from components.base.adapters.mlflow_records import ModelFiles
from components.base.contract.problem import Column, Problem
from components.base.dataset import ROLES, Prepared, Role
from components.base.errors import ModelRefusedError
from components.base.settings import Settings
from components.base.tables import read_table
from components.base.task import Task
from components.models.artifact import JUDGED, Model, load_model, read_description
from components.models.documents import Leaderboard

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Champion:
    """The champion of the registry, with the ledger of the rows that it was fitted and tested on."""

    version: str
    loaded: Model | ModelRefusedError
    """The served model, or why it can no longer be read."""
    ledger: pd.DataFrame
    """Columns `row_hash` and `role`."""
    problem: Problem | None = None
    """The contract that it was trained under."""
    judged: Model | ModelRefusedError | None = None
    """The model of train and validation rows alone; None where that is the served one."""

    @property
    def fitted_roles(self) -> tuple[Role, ...]:
        """The roles of its ledger from which `loaded` has learned."""
        return ROLES if self.judged else ("train", "validation")

    @property
    def model(self) -> Model:
        """Return the model.

        Raises:
            ModelRefusedError: it can no longer be read; `find_objection` says so first.
        """
        if isinstance(self.loaded, ModelRefusedError):
            raise self.loaded
        return self.loaded


def fetch_champion(task: Task, settings: Settings) -> Champion | None:
    """Fetch the champion from the registry; None when the problem has none yet.

    Raises:
        TransientError: the registry or its artifact store does not answer.
        ModelRefusedError: the registry has no files of the champion. A model that does not load is an objection.
    """
    from components.base.adapters.mlflow import download_champion

    with TemporaryDirectory() as folder:
        files = download_champion(task.problem.name, Path(folder), settings)
        return read_champion(task, files) if files else None


def read_champion(task: Task, files: ModelFiles) -> Champion:
    """Read a champion from its files on this machine."""

    def load(folder: Path) -> Model | ModelRefusedError:
        try:
            return load_model(task, folder)
        except ModelRefusedError as error:
            return error

    folder = files.model_folder
    judged = load(folder / JUDGED) if (folder / JUDGED).is_dir() else None
    return Champion(files.version, load(folder), read_table(files.ledger_path), files.problem, judged)


def pick_model(prepared: Prepared, champion: Champion) -> Champion:
    """Return the champion by its judged model where the served one has learned from some of these test rows."""
    if champion.judged and _count_fitted(prepared, champion):
        return replace(champion, loaded=champion.judged, judged=None)
    return champion


def fetch_champion_parameters(problem_name: str, settings: Settings) -> dict[str, dict[str, Any]]:
    """Return the parameters of the champion by family; none without a champion, or when its record is unreadable.

    Raises:
        TransientError: the registry or its artifact store does not answer.
    """
    from components.base.adapters.mlflow import download_champion

    with TemporaryDirectory() as folder:
        files = download_champion(problem_name, Path(folder), settings)
        if files is None:
            return {}
        try:
            details = read_description(files.model_folder).details
        except ModelRefusedError as error:
            logger.warning("recall: tuning begins without the champion's parameters: %s", error)
            return {}
        parameters = details.parameters if details else {}
        logger.info("recall: version %s with the parameters of %s", files.version, ", ".join(parameters) or "no family")
        return parameters


def require_selected(model: Model, leaderboard: Leaderboard) -> None:
    """Refuse to open test rows for a model that cross-validation did not choose.

    Raises:
        ModelRefusedError: when a family of the model is not among the chosen ones of the leaderboard.
    """
    strangers = sorted(set(model.family.split("+")) - set(leaderboard.chosen))
    if strangers:
        raise ModelRefusedError(
            f"evaluate: every family of the model must be chosen on the leaderboard, but got {', '.join(strangers)}. "
            "Run select, tune and ensemble again, in this order."
        )


def describe_met(champion: Champion, met: Champion) -> str:
    """Put into words by which of its models the champion is compared."""
    words = f"Version {champion.version} was fitted on none of the test rows and scored on all of them"
    if met is champion:
        return f"{words}, by the model that it serves."
    return f"{words}, by its judged model: the one that it serves has learned from some of them."


def find_objection(
    prepared: Prepared, champion: Champion, rows: pd.DataFrame, problem: Problem | None = None
) -> str | None:
    """Return why the champion cannot be compared on these test rows of the contract; None when it can."""
    if isinstance(champion.loaded, ModelRefusedError):
        return f"Champion version {champion.version} can no longer be read: {champion.loaded} Release by hand."
    missing = [name for name in champion.model.feature_names if name not in rows]
    if missing:
        return (
            f"Champion version {champion.version} reads columns that these rows lack: {', '.join(missing)}. "
            "Release by hand, or prepare them."
        )
    if problem and champion.problem:
        old, new = _identify(champion.problem), _identify(problem)
        if changed := [name for name in dict.fromkeys([*new, *old]) if old.get(name) != new.get(name)]:
            return (
                f"Champion version {champion.version} was trained under another identity of examples "
                f"({', '.join(changed)}), so it is unknown whether it was fitted on these test rows. Release by hand."
            )
    if known := _count_fitted(prepared, champion):
        return (
            f"Champion version {champion.version} was fitted on {known:,} of these {len(rows):,} test rows, so its "
            "scores on them would flatter it. Choose a later `as_of`."
        )
    return None


def fingerprint_test(prepared: Prepared) -> str:
    """Return the SHA-256 over the sorted hashes of the test rows."""
    return hashlib.sha256(np.sort(_test_hashes(prepared)).tobytes()).hexdigest()


def record_opening(problem_name: str, prepared: Prepared, model: str, settings: Settings) -> int:
    """Record in the object store that these test rows are opened for a model; return for how many others they were.

    The same model learns nothing from being judged again: a step that is repeated is no second opening.

    Args:
        problem_name: Name of the contract.
        prepared: The prepared rows.
        model: Fingerprint of the model.
        settings: Name the object store.
    """
    from components.base.adapters.s3 import open_store

    store = open_store(settings)
    prefix = f"{problem_name}/test-openings/{fingerprint_test(prepared)}/"
    others = {entry.key for entry in store.list_objects(prefix)} - {f"{prefix}{model}"}
    store.put_bytes(f"{prefix}{model}", b"")
    return len(others)


def _identify(problem: Problem) -> dict[str, Any]:
    """Return what the hash of an example is made of: the fields, their columns, and those that expressions mention."""
    spec = problem.examples
    source = problem.sources[spec.source]
    columns: dict[str, Column] = {}
    wanted = [*spec.key, spec.predicted_at]
    while wanted:
        name = wanted.pop()
        if name in source.columns and name not in columns:
            columns[name] = source.columns[name]
            wanted += re.findall(r"\w+", columns[name].expression or "")
    return {
        "examples.source": spec.source,
        "examples.key": spec.key,
        "examples.predicted_at": spec.predicted_at,
        **{f"column {name}": (column.type, column.expression) for name, column in columns.items()},
    }


def _count_fitted(prepared: Prepared, champion: Champion) -> int:
    """Count the test rows from which the champion has learned."""
    fitted = champion.ledger.loc[champion.ledger["role"].isin(champion.fitted_roles), "row_hash"]
    return int(np.isin(_test_hashes(prepared), fitted.to_numpy()).sum())


def _test_hashes(prepared: Prepared) -> NDArray[np.uint64]:
    ledger = prepared.read_ledger()
    return ledger.loc[ledger["role"] == "test", "row_hash"].to_numpy(dtype=np.uint64)
