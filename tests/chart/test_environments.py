"""The environments beside the chart: the chart takes the values of each."""

import subprocess

import pytest
import yaml

from pipelines.cluster.environment import CHART, ENVIRONMENTS, load_environment
from tests.chart.rendering import CONTRACT, PROBLEM, find, find_helm

NAMES = sorted(folder.name for folder in ENVIRONMENTS.iterdir())


@pytest.mark.parametrize("name", NAMES)
def test_the_chart_takes_the_values_of_an_environment(name):
    environment = load_environment(name)
    values = environment.values_words
    words = [
        find_helm(), "template", environment.release, str(CHART), "--namespace", environment.namespace, *values,
        "--kube-version", "1.33.0", "--api-versions", "monitoring.coreos.com/v1", "--set", "image.tag=0123abc",
        "--set-file", f"problems.{PROBLEM}={CONTRACT}",
    ]  # fmt: skip
    done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    objects = [one for one in yaml.safe_load_all(done.stdout) if one]
    assert find(objects, "ConfigMap", "tidemill-settings")["data"]["TIDEMILL_BUCKET"] == f"tidemill-{name}"
