"""The host of a cluster: what it applies in which order, what it counts, and what it leaves when something fails."""

import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.base.contract.load import load_problem
from components.base.contract.problem import Rollout
from components.base.errors import EndpointUnavailableError, TransientError
from components.base.gate import Gate
from components.base.settings import load_settings
from components.serving import gateway as gateway_module
from components.serving import kserve as kserve_module
from components.serving.gateway import Gateway, is_split
from components.serving.inference_service import ServedVersion
from components.serving.kserve import KServeHost
from tests.unit.serving.cluster import Cluster

PROBLEM = load_problem(Path(__file__).parents[3] / "pipelines" / "problems" / "flight-delays.yaml")
SETTINGS = load_settings({"TIDEMILL_GATEWAY_URL": "http://gateway", "TIDEMILL_IMAGE": "tidemill:1"})
QUICK = Rollout(start_seconds=0.01, soak_seconds=0.0)


def version(number: int) -> ServedVersion:
    problem = PROBLEM.model_copy(update={"serving": PROBLEM.serving.model_copy(update={"rollout": QUICK})})
    return ServedVersion(problem, str(number), f"s3://tidemill/mlflow/models/m-{number}", {})


@pytest.fixture(params=[True, False], ids=["gateway", "no gateway"])
def cluster(request, monkeypatch):
    return install(Cluster(has_gateway=request.param), monkeypatch)


@pytest.fixture
def split_cluster(monkeypatch):
    return install(Cluster(), monkeypatch)


def install(cluster, monkeypatch):
    """Let requests reach the cluster in memory: the gateway by its weights, a Service by its name."""

    def count(gateway, requests=400):
        return Counter(
            {name.removeprefix("v"): percent * requests // 100 for name, percent in cluster.weights.items() if percent}
        )

    monkeypatch.setattr(Gateway, "count", count)
    monkeypatch.setattr(kserve_module, "is_answering", lambda url, path: url.startswith("http://v"))
    monkeypatch.setattr(kserve_module, "shadow_candidate", lambda *_: [])
    monkeypatch.setattr(kserve_module, "_SPLIT_SECONDS", 0.0)
    monkeypatch.setattr(kserve_module, "_POLL_SECONDS", 0.0)
    return cluster


def try_out(host, candidate, tmp_path):
    with host.try_candidate(candidate, tmp_path, tmp_path / "predictor.log") as wait_ready:
        return wait_ready().url


def test_the_first_release_is_served_alone(cluster, tmp_path):
    host = KServeHost(SETTINGS, cluster)
    assert host.live("flight-delays") == {}
    assert try_out(host, version(1), tmp_path) == "http://v1"
    host.promote(version(1))
    assert host.live("flight-delays") == {"1": 100}
    assert len(cluster.applied) == 1


def test_a_release_goes_dark_then_by_its_shares_and_is_renamed_when_it_has_every_request(split_cluster, tmp_path):
    host = KServeHost(SETTINGS, split_cluster)
    host.promote(version(1))
    served = split_cluster.service["spec"]["predictor"]
    assert try_out(host, version(2), tmp_path) == "http://v2"
    assert split_cluster.weights == {"v1": 100, "v2": 0}
    for percent in (0, 10, 50, 100):
        (gate,) = host.shift(version(2), percent)
        assert (gate.name, gate.verdict, gate.value) == ("split", "pass", percent / 100)
        assert split_cluster.weights == {"v1": 100 - percent, "v2": percent}
        assert split_cluster.service["spec"]["predictor"] == served
    assert "version 2: 400" in gate.reason
    host.promote(version(2))
    assert host.live("flight-delays") == {"2": 100}
    # All requests had moved before the name did.
    assert split_cluster.applied[-2]["spec"]["canary"][0]["trafficPercent"] == 100
    assert "canary" not in split_cluster.applied[-1]["spec"]
    assert split_cluster.autoscalers == {"v2"}


def test_what_serves_is_not_rendered_again_for_the_release_of_another_image(split_cluster, tmp_path):
    KServeHost(SETTINGS, split_cluster).promote(version(1))
    newer = KServeHost(SETTINGS.model_copy(update={"image": "tidemill:2"}), split_cluster)
    try_out(newer, version(2), tmp_path)
    newer.withdraw(version(2), version(1))
    spec = split_cluster.service["spec"]
    assert "canary" not in spec
    assert spec["predictor"]["containers"][0]["image"] == "tidemill:1"


def test_a_withdrawal_takes_the_requests_before_the_pods(split_cluster):
    host = KServeHost(SETTINGS, split_cluster)
    host.promote(version(1))
    host.shift(version(2), 50)
    host.withdraw(version(2), version(1))
    *_, dark, alone = split_cluster.applied
    assert [canary["trafficPercent"] for canary in dark["spec"]["canary"]] == [0]
    assert "canary" not in alone["spec"]
    assert host.live("flight-delays") == {"1": 100}


def test_without_a_gateway_the_record_says_that_nothing_was_split(monkeypatch, tmp_path):
    cluster = install(Cluster(has_gateway=False), monkeypatch)
    host = KServeHost(SETTINGS, cluster)
    host.promote(version(1))
    try_out(host, version(2), tmp_path)
    (gate,) = host.shift(version(2), 0)
    assert (gate.verdict, gate.blocks, gate.value) == ("not judged", False, None)
    assert "no gateway accepts the endpoint's route" in gate.reason
    assert host.shift(version(2), 50) == ()
    host.promote(version(2))
    assert host.live("flight-delays") == {"2": 100}


def test_a_candidate_that_cannot_start_is_named_with_the_reasons_of_its_pods(cluster, tmp_path):
    host = KServeHost(SETTINGS, cluster)
    host.promote(version(1))
    cluster.cannot_start = {"v2"}
    words = "it must answer within 0.01 seconds, but no pod became ready: pod of version 2: kserve-container waits"
    with pytest.raises(EndpointUnavailableError, match=re.escape(words)):
        try_out(host, version(2), tmp_path)
    host.withdraw(version(2), version(1))
    assert host.live("flight-delays") == {"1": 100}
    assert "canary" not in cluster.service["spec"]


def test_a_first_release_that_fails_leaves_no_endpoint(cluster, tmp_path):
    host = KServeHost(SETTINGS, cluster)
    cluster.cannot_start = {"v1"}
    with pytest.raises(EndpointUnavailableError):
        try_out(host, version(1), tmp_path)
    host.withdraw(version(1), None)
    assert host.live("flight-delays") == {}


def test_a_split_that_is_not_in_force_is_counted_and_fails(split_cluster):
    host = KServeHost(SETTINGS, split_cluster)
    host.promote(version(1))
    split_cluster.ignores_weights = True
    (gate,) = host.shift(version(2), 50)
    assert (gate.verdict, gate.value, gate.limit) == ("fail", 0.0, 0.5)
    assert gate.reason == "at 50 %, 400 requests counted at the gateway: version 1: 400."
    with pytest.raises(EndpointUnavailableError, match="must answer every request before version 1 goes"):
        host.promote(version(2))
    assert split_cluster.stable == "v1"


def test_a_limit_that_is_broken_ends_the_soak_early(split_cluster, monkeypatch):
    host = KServeHost(SETTINGS, split_cluster)
    host.promote(version(1))
    broken = Gate(name="error_ratio", verdict="fail", value=0.3, limit=0.01, reason="Errors.")
    read: list[tuple[int, float]] = []

    def read_limits(limits, percent, seconds):
        read.append((percent, seconds))
        return [broken]

    monkeypatch.setattr(kserve_module.RolloutLimits, "read", read_limits)
    monkeypatch.setattr(kserve_module, "_WATCH_SECONDS", 0.0)
    slow = version(2)
    serving = slow.problem.serving.model_copy(update={"rollout": Rollout(soak_seconds=3600)})
    slow = replace(slow, problem=slow.problem.model_copy(update={"serving": serving}))
    assert list(host.shift(slow, 10))[-1] == broken
    assert len(read) == 1


@pytest.mark.parametrize("died_at", range(1, 6))
def test_an_api_server_that_goes_away_leaves_one_version_and_the_next_run_goes_on(died_at, split_cluster, tmp_path):
    host = KServeHost(SETTINGS, split_cluster)
    host.promote(version(1))

    def release():
        try_out(host, version(2), tmp_path)
        for percent in (10, 50, 100):
            host.shift(version(2), percent)
        host.promote(version(2))

    split_cluster.dies_at = died_at
    with pytest.raises(TransientError):
        release()
    split_cluster.dies_at = None
    assert split_cluster.stable == "v1"
    assert set(split_cluster.weights) <= {"v1", "v2"}
    release()
    assert host.live("flight-delays") == {"2": 100}
    assert split_cluster.autoscalers == {"v2"}


def test_a_rollback_brings_back_a_version_whose_pods_are_gone(cluster, tmp_path):
    host = KServeHost(SETTINGS, cluster)
    for number in (1, 2):
        host.promote(version(number))
    host.promote(version(1))
    assert host.live("flight-delays") == {"1": 100}
    applied = len(cluster.applied)
    host.promote(version(1))
    assert len(cluster.applied) == applied


def test_a_version_that_served_before_a_crash_gives_way_to_the_champion(split_cluster):
    host = KServeHost(SETTINGS, split_cluster)
    host.promote(version(2))
    host.withdraw(version(2), version(1))
    assert host.live("flight-delays") == {"1": 100}


@given(percent=st.integers(1, 99), requests=st.integers(100, 2000))
def test_an_exact_split_agrees_and_a_lost_request_never_does(percent, requests):
    share = round(requests * percent / 100)
    expected = {"1": 100 - percent, "2": percent}
    assert is_split({"1": requests - share, "2": share}, expected)
    assert not is_split({"1": requests - share, "2": share, gateway_module.LOST: 1}, expected)


def test_nothing_and_everything_are_counted_exactly():
    assert is_split({"1": 400}, {"1": 100, "2": 0})
    assert not is_split({"1": 399, "2": 1}, {"1": 100, "2": 0})
    assert not is_split({"1": 400}, {"1": 90, "2": 10})
