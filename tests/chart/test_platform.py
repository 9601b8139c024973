"""The upstream parts beside the chart: versions that agree, names that fit, and no object with two owners."""

import re
import tomllib

import pytest
import yaml

from pipelines.cluster.environment import ENVIRONMENTS, ROOT, load_environment
from pipelines.cluster.parts import PLATFORM, load_parts
from tests.chart.rendering import find, render

PARTS = load_parts()
OBJECTS = [
    one
    for file in sorted(PLATFORM.rglob("*.yaml"))
    if file.name not in ("kustomization.yaml", "values.yaml", "parts.yaml")
    for one in yaml.safe_load_all(file.read_text())
]
# A tag, a release's file, or a chart's archive.
VERSION = re.compile(r"\?ref=([^\s&]+)|/releases/download/([^/]+)/")


@pytest.mark.parametrize("part", PARTS.values(), ids=lambda part: part.name)
def test_every_place_names_the_one_version_of_a_part(part):
    texts = [(PLATFORM / step.folder / "kustomization.yaml").read_text() for step in part.steps if step.folder]
    texts += [step.chart.format(version=part.version) for step in part.steps if step.chart]
    found = {one for text in texts for names in VERSION.findall(text) for one in names if one}
    assert {one.removeprefix("kube-prometheus-stack-") for one in found} == {part.version}


def test_every_remote_base_is_pinned():
    for file in PLATFORM.rglob("kustomization.yaml"):
        for resource in yaml.safe_load(file.read_text())["resources"]:
            assert not resource.startswith("http") or VERSION.search(resource), resource


def test_every_folder_and_values_file_belongs_to_a_part():
    used = {step.folder or step.values for part in PARTS.values() for step in part.steps} - {""}
    folders = {str(file.parent.relative_to(PLATFORM)) for file in PLATFORM.rglob("kustomization.yaml")}
    values = {str(file.relative_to(PLATFORM)) for file in PLATFORM.rglob("values.yaml")}
    assert used == folders | values


@pytest.mark.parametrize("name", sorted(folder.name for folder in ENVIRONMENTS.iterdir()))
def test_an_environment_names_parts_that_exist(name):
    assert set(load_environment(name).parts) <= set(PARTS)


def test_the_pipelines_part_is_of_the_version_that_the_client_is_made_for():
    dependencies = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    (lowest,) = [re.match(r"kfp>=(\d+\.\d+)", one)[1] for one in dependencies if re.match(r"kfp>=", one)]
    assert PARTS["pipelines"].version.startswith(f"{lowest}.")


@pytest.mark.parametrize("profile", ["small", "production"])
def test_no_object_is_owned_by_both_the_chart_and_the_manifests(profile):
    chart = {
        (one["kind"], one["metadata"]["namespace"], one["metadata"]["name"])
        for one in render(profile, "--set", "monitoring.alerting=grafana")
    }
    own = {(one["kind"], one["metadata"].get("namespace"), one["metadata"]["name"]) for one in OBJECTS}
    assert len(own) >= 4
    assert chart & own == set()
    # What upstream makes in its namespaces is not rendered here; none of it is named after this project.
    beside = {name for _, namespace, name in chart if namespace != "tidemill"}
    assert beside
    assert {name for name in beside if not name.startswith("tidemill-")} == set()


def test_grafana_loads_what_carries_the_labels_of_the_chart():
    sidecar = yaml.safe_load((PLATFORM / "monitoring" / "values.yaml").read_text())["grafana"]["sidecar"]
    loaded = {(one["label"], one["labelValue"]) for one in sidecar.values()}
    carried = {
        item
        for one in render("small", "--set", "monitoring.alerting=grafana")
        for item in one["metadata"]["labels"].items()
        if item[0].startswith("grafana_")
    }
    assert carried == loaded
    assert {one["searchNamespace"] for one in sidecar.values()} == {"ALL"}
    # Contact points are a Secret, dashboards name their folder.
    assert sidecar["alerts"]["resource"] == "both"
    dashboard = find(render("small"), "ConfigMap", "tidemill-dashboard-model")
    assert sidecar["dashboards"]["folderAnnotation"] in dashboard["metadata"]["annotations"]


def test_kserve_and_the_environments_name_the_gateway_that_is_made():
    gateway = find(OBJECTS, "Gateway", "tidemill")["metadata"]
    kserve = yaml.safe_load((PLATFORM / "kserve" / "values.yaml").read_text())["kserve"]
    named = kserve["controller"]["gateway"]["ingressGateway"]["kserveGateway"]
    assert named == f"{gateway['namespace']}/{gateway['name']}"
    service = find(OBJECTS, "EnvoyProxy", "tidemill")["spec"]["provider"]["kubernetes"]["envoyService"]["name"]
    for folder in ENVIRONMENTS.iterdir():
        values = yaml.safe_load((folder / "values.yaml").read_text())
        assert values["gatewayUrl"] == f"http://{service}.{values['networkPolicies']['gatewayNamespace']}"


def test_the_initializer_of_kserve_keeps_to_the_restricted_standard():
    kserve = yaml.safe_load((PLATFORM / "kserve" / "values.yaml").read_text())["kserve"]
    context = kserve["storage"]["containerSecurityContext"]
    assert context["allowPrivilegeEscalation"] is False
    assert context["runAsNonRoot"] is True
    assert context["capabilities"] == {"drop": ["ALL"]}
    assert context["seccompProfile"] == {"type": "RuntimeDefault"}
    assert kserve["controller"]["deploymentMode"] == "Standard"
