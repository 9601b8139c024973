"""Spark where it is not installed."""

import importlib.util
import shutil

import pytest

from components.base.adapters.spark_session import open_session
from components.base.errors import PermanentError


@pytest.mark.parametrize("missing", ["pyspark", "java"])
def test_spark_without_its_package_or_java_is_refused_with_what_to_install(missing, monkeypatch):
    monkeypatch.delenv("JAVA_HOME", raising=False)
    present = importlib.util.find_spec("json")
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None if missing == "pyspark" else present)
    monkeypatch.setattr(shutil, "which", lambda _: None if missing == "java" else "/usr/bin/java")
    with pytest.raises(PermanentError, match=r"Run `make spark` and .* or write `data: \{engine: duckdb\}`"):
        open_session()
