"""Which code this is: the fingerprint of what a phase can reach, and the commit of the checkout or image.

In: the files of the installation. Out: digits and a commit. Called by `step` (which names a step's image by them), and
by `register`, which keeps them with a version.
"""

import hashlib
import subprocess
from functools import cache
from pathlib import Path

PHASES = ("base", "data", "features", "models", "serving", "release", "monitoring", "reports")
ROOT = Path(__file__).parents[2]
_LOCK = "requirements.lock"
UNKNOWN = "unknown"


@cache
def fingerprint_code(phase: str, root: Path = ROOT) -> str:
    """Return 16 hexadecimal digits over the code of the phase and those before it, and over the locked packages.

    Feature declarations and tasks count from the features phase on: an edit of the report leaves tuning valid, an edit
    of a score does not.
    """
    reachable = PHASES[: PHASES.index(phase) + 1]
    folders = [root / "components" / name for name in reachable]
    if "features" in reachable:
        folders += [root / "components" / "tasks", root / "feature_repo"]
    files = sorted(file for folder in folders for file in folder.rglob("*") if file.is_file())
    digest = hashlib.sha256()
    for file in [*files, root / _LOCK]:
        if file.is_file() and file.suffix != ".pyc":
            digest.update(str(file.relative_to(root)).encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:16]


def fingerprint_lock(root: Path = ROOT) -> str:
    """Return the SHA-256 of the locked packages; `unknown` where the lock is missing."""
    lock = root / _LOCK
    return hashlib.sha256(lock.read_bytes()).hexdigest() if lock.is_file() else UNKNOWN


def describe_commit(root: Path = ROOT) -> str:
    """Return the commit of a checkout, with `+changes` when files differ from it; `unknown` outside of one."""
    try:
        commit = _git(root, "rev-parse", "--short=12", "HEAD")
        return f"{commit}+changes" if _git(root, "status", "--porcelain", "--untracked-files=no") else commit
    except (OSError, subprocess.CalledProcessError):
        return UNKNOWN


def _git(root: Path, *words: str) -> str:
    done = subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True, check=True)
    return done.stdout.strip()
