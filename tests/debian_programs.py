"""Programs from Debian packages that tests run: where they are missing, a test is skipped, in CI it fails."""

import os
import shutil

import pytest

PACKAGES = {
    "prometheus": "prometheus",
    "promtool": "prometheus",
    "prometheus-alertmanager": "prometheus-alertmanager",
    "amtool": "prometheus-alertmanager",
    "redis-server": "redis-server",
    "docker-registry": "docker-registry",
    "skopeo": "skopeo",
}


def find_program(name: str) -> str:
    """Return the path of a program, or end the test."""
    path = shutil.which(name)
    if path is None:
        reason = f"{name} must be installed: apt-get install {PACKAGES[name]}"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return path
