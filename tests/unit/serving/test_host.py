"""The host of this machine keeps a record that is true, and one function alone reads the platform for serving."""

import re
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from components.base.contract.load import load_problem
from components.base.settings import load_settings
from components.serving.host import open_host
from components.serving.inference_service import ServedVersion
from components.serving.kserve import KServeHost
from components.serving.local import LocalHost, read_endpoint

ROOT = Path(__file__).parents[3]
PROBLEM = load_problem(ROOT / "pipelines" / "problems" / "flight-delays.yaml")
# One factory for serving, one for runs.
MAY_READ_THE_PLATFORM = {"components/serving/host.py", "pipelines/runners/__init__.py"}


def version(number: int) -> ServedVersion:
    return ServedVersion(PROBLEM, str(number), f"s3://tidemill/mlflow/models/m-{number}", {})


@given(promoted=st.lists(st.integers(1, 4), max_size=8))
def test_what_was_promoted_last_is_live_and_what_served_before_is_known(tmp_path_factory, promoted):
    settings = load_settings({"TIDEMILL_HOME": str(tmp_path_factory.mktemp("home"))})
    host = open_host(settings)
    assert host.live(PROBLEM.serving.endpoint) == {}
    served: list[int] = []
    for number in promoted:
        host.promote(version(number))
        served += [number] if served[-1:] != [number] else []
        assert host.live(PROBLEM.serving.endpoint) == {str(number): 100}
    record = read_endpoint(PROBLEM.serving.endpoint, settings)
    before = str(served[-2]) if len(served) > 1 else None
    assert (record.version, record.previous) == (str(served[-1]), before) if served else record is None


def test_a_version_that_is_promoted_again_keeps_its_time(tmp_path):
    settings = load_settings({"TIDEMILL_HOME": str(tmp_path)})
    host = LocalHost(settings)
    host.promote(version(1))
    record = read_endpoint(PROBLEM.serving.endpoint, settings)
    host.promote(version(1))
    assert read_endpoint(PROBLEM.serving.endpoint, settings) == record


def test_a_share_or_a_withdrawal_changes_nothing_on_one_machine(tmp_path):
    host = LocalHost(load_settings({"TIDEMILL_HOME": str(tmp_path)}))
    host.promote(version(1))
    assert list(host.shift(version(2), 20)) == []
    host.withdraw(version(2), version(1))
    assert host.live(PROBLEM.serving.endpoint) == {"1": 100}


def test_a_cluster_has_its_own_host():
    cluster = {"PLATFORM": "kubernetes", "IMAGE": "python-tidemill:1", "S3_ENDPOINT": "http://s3:9000"}
    host = open_host(load_settings({f"TIDEMILL_{name}": value for name, value in cluster.items()}))
    assert isinstance(host, KServeHost)


def test_only_the_factories_read_the_platform():
    sources = [path for room in ("components", "pipelines") for path in (ROOT / room).rglob("*.py")]
    readers = {str(path.relative_to(ROOT)) for path in sources if re.search(r"settings\.platform\b", path.read_text())}
    assert readers <= MAY_READ_THE_PLATFORM
