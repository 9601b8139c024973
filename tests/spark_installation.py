"""Whether Spark can run here: where it cannot, a test is skipped with the reason, in CI it fails."""

import importlib.util
import os
import shutil

import pytest


def require_spark() -> None:
    """End the test where pyspark or Java is missing."""
    missing = [] if importlib.util.find_spec("pyspark") else ["pyspark: make spark"]
    if not (os.environ.get("JAVA_HOME") or shutil.which("java")):
        missing.append("Java: apt-get install openjdk-17-jre-headless")
    if missing:
        reason = f"the engine `spark` must be installed ({'; '.join(missing)})"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
