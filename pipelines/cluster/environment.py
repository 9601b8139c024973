"""The environments of an installation: where the chart goes, with which profile and values.

In: a folder of `manifests/environments`, with environment.yaml and values.yaml. Out: a frozen `Environment`. Called by
every command that works on a cluster.
"""

from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import Field, ValidationError

from components.base.documents import Document
from components.base.errors import PermanentError, describe_faults, suggest_name

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "tidemill"
ENVIRONMENTS = ROOT / "manifests" / "environments"


class Environment(Document):
    """One installation of the chart on a cluster."""

    name: str
    """The folder's."""
    namespace: Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
    """Where the chart's objects live."""
    profile: Literal["small", "production", "external"]
    """The chart's values file of this size."""
    parts: tuple[str, ...]
    """The upstream parts of `manifests/platform` that it needs."""
    release: Literal["tidemill"] = "tidemill"
    """Helm's name of the installation: object names are fixed, so that a namespace holds one."""
    values: tuple[Path, ...]
    """Values files for Helm; a later one wins."""

    @property
    def values_words(self) -> tuple[str, ...]:
        """The same as words for Helm."""
        return tuple(word for file in self.values for word in ("--values", str(file)))


def load_environment(name: str, folder: Path = ENVIRONMENTS) -> Environment:
    """Read an environment.

    Raises:
        PermanentError: there is none of that name, with the nearest one, or its file has faults.
    """
    file = folder / name / "environment.yaml"
    if not file.is_file():
        known = sorted(found.parent.name for found in folder.glob("*/environment.yaml"))
        raise PermanentError(
            f"environment {name}: one of {', '.join(known) or '(none)'} must be named, but got {name!r}."
            f"{suggest_name(name, known)} Environments are the folders of manifests/environments/."
        )
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
        profile = content.get("profile") if isinstance(content, dict) else None
        values = (CHART / f"values-{profile}.yaml", file.with_name("values.yaml"))
        return Environment.model_validate({**dict(content or {}), "name": name, "values": values})
    except (ValidationError, yaml.YAMLError, ValueError) as error:
        found = error.errors() if isinstance(error, ValidationError) else [{"loc": ("the file",), "msg": str(error)}]
        faults = [f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}." for fault in found]
        raise PermanentError(describe_faults(f"{name}/environment.yaml", faults)) from error
