"""Virtual environments of the peers that a benchmark compares with: what they bring, nothing here needs."""

import subprocess
import venv
from collections.abc import Sequence
from pathlib import Path

from components.base.settings import load_settings


def make_environment(name: str, pins: Sequence[str]) -> Path:
    """Return the folder of a peer's environment, made from PyPI when its first package is missing."""
    place, package = load_settings().home / "bench" / name, pins[0].partition("==")[0]
    if not list(place.glob(f"lib/*/site-packages/{package}")):
        venv.create(place, with_pip=True, clear=True)
        subprocess.run([str(place / "bin" / "pip"), "install", "--quiet", *pins], check=True)
    return place
