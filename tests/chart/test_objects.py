"""Every object of every profile: valid, restricted, limited, without a moving tag or a known password."""

import re
import subprocess
import sys

import jsonschema
import pytest
import yaml

from components.base.settings import load_settings
from tests.chart.kubernetes_schemas import schema_of
from tests.chart.rendering import (
    CHART,
    PROBLEM,
    PROFILES,
    ROOT,
    find,
    list_containers,
    list_pods,
    render,
    run_helm,
)

# Together they reach every template: the other side of each switch.
VARIANTS = {
    "small": (),
    "production": ("--set", "monitoring.alerting=grafana", "--set", "pipelines.mode=multi-user"),
    "external": (
        "--set",
        "pipelines.namespace=runs",
        "--set",
        "networkPolicies.peopleNamespaces={ingress}",
        "--set",
        "gatewayUrl=http://gateway.gateway",
    ),
}
RENDERINGS = [pytest.param(name, options, id=name) for name, options in VARIANTS.items()]


@pytest.mark.parametrize("profile", PROFILES)
def test_helm_lints_every_profile(profile):
    done = run_helm("lint", profile, "--strict")
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(("profile", "options"), RENDERINGS)
def test_every_object_is_valid_and_has_no_unknown_field(profile, options):
    faults = []
    for one in render(profile, *options):
        validator = jsonschema.Draft7Validator(schema_of(one["apiVersion"], one["kind"]))
        name = f"{one['kind']} {one['metadata']['name']}"
        faults += [f"{name} {fault.json_path}: {fault.message[:200]}" for fault in validator.iter_errors(one)]
    assert faults == []


def test_an_unknown_field_would_be_found():
    wrong = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a", "label": {}}, "spec": {"ports": [{}]}}
    faults = {fault.json_path for fault in jsonschema.Draft7Validator(schema_of("v1", "Service")).iter_errors(wrong)}
    assert faults == {"$.metadata", "$.spec.ports[0]"}


@pytest.mark.parametrize(("profile", "options"), RENDERINGS)
def test_no_object_is_there_twice_and_none_is_of_the_cluster(profile, options):
    names = [
        (one["kind"], one["metadata"].get("namespace"), one["metadata"]["name"]) for one in render(profile, *options)
    ]
    assert sorted({name for name in names if names.count(name) > 1}) == []
    assert [name for name in names if name[1] is None] == []


@pytest.mark.parametrize(("profile", "options"), RENDERINGS)
def test_every_pod_keeps_to_the_restricted_standard(profile, options):
    """As Kubernetes' Pod Security Standards list it; the read-only root and the token are stricter."""
    objects = render(profile, *options)
    for name, pod in list_pods(objects).items():
        context = pod["securityContext"]
        assert context["runAsNonRoot"] is True, name
        assert context["runAsUser"] > 0, name
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod), name
        # What a person does there needs the Kubernetes API.
        assert pod["automountServiceAccountToken"] is (name == "tidemill-operations"), name
        assert pod["enableServiceLinks"] is False, name
        kinds = {kind for volume in pod["volumes"] for kind in volume if kind != "name"}
        assert kinds <= {"configMap", "emptyDir", "persistentVolumeClaim", "projected", "secret"}, name
        assert all("sizeLimit" in volume["emptyDir"] for volume in pod["volumes"] if "emptyDir" in volume), name
    for name, container in list_containers(objects).items():
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }, name


@pytest.mark.parametrize(("profile", "options"), RENDERINGS)
def test_every_container_has_requests_limits_and_an_image_that_does_not_move(profile, options):
    for name, container in list_containers(render(profile, *options)).items():
        for kind in ("requests", "limits"):
            assert set(container["resources"][kind]) == {"cpu", "memory"}, name
        image = container["image"]
        assert re.search(r":[^:/]+$|@sha256:[0-9a-f]{64}$", image), image
        assert not image.endswith(":latest"), name


def test_a_digest_names_the_image_alone():
    digest = f"sha256:{'0' * 64}"
    images = {one["image"] for one in list_containers(render("external", "--set", f"image.digest={digest}")).values()}
    assert images == {f"tidemill@{digest}"}


@pytest.mark.parametrize(("profile", "options"), RENDERINGS)
def test_services_have_probes_and_a_workload_behind_each(profile, options):
    objects = render(profile, *options)
    for name, container in list_containers(objects).items():
        if container.get("ports"):
            assert {"startupProbe", "readinessProbe", "livenessProbe"} <= set(container), name
    labels = [
        one["spec"]["template"]["metadata"]["labels"].items()
        for one in objects
        if one["kind"] in ("Deployment", "StatefulSet")
    ]
    for service in (one for one in objects if one["kind"] == "Service"):
        selector = service["spec"]["selector"].items()
        is_endpoint = "serving.kserve.io/inferenceservice" in service["spec"]["selector"]
        assert is_endpoint or sum(selector <= some for some in labels) == 1, service["metadata"]["name"]


def test_the_settings_of_a_pod_are_settings_of_the_code(monkeypatch):
    objects = render("small")
    public = find(objects, "ConfigMap", "tidemill-settings")["data"]
    secret = find(objects, "Secret", "tidemill-secrets")["stringData"]
    governor = {
        "TIDEMILL_GOVERNOR_DATABASE": find(objects, "Secret", "tidemill-governor")["stringData"][
            "TIDEMILL_GOVERNOR_DATABASE"
        ]
    }
    settings = load_settings({**public, **secret, **governor})
    assert settings.platform == "kubernetes"
    assert settings.prometheus_url == "http://kube-prometheus-stack-prometheus.monitoring:9090"
    assert settings.s3.url == "http://tidemill-object-store.tidemill:8333"
    assert settings.online_store.startswith("redis://:")
    assert not set(public) & set(secret)


def test_no_secret_stands_in_a_value_a_config_map_or_an_environment():
    objects = render("small")
    secrets = [one for one in objects if one["kind"] == "Secret"]
    generated = {
        password
        for one in secrets
        for text in one["stringData"].values()
        for password in re.findall(r"(?<![A-Za-z0-9])[A-Za-z0-9]{40}(?![A-Za-z0-9])", text)
    }
    assert len(generated) >= 10
    others = yaml.safe_dump([one for one in objects if one["kind"] != "Secret"])
    assert [password for password in generated if password in others] == []
    for name, container in list_containers(objects).items():
        assert all("value" in variable for variable in container.get("env", [])), name
        assert "envFrom" not in container, name


def test_generated_passwords_agree_with_each_other_and_stay():
    objects = render("small")
    secrets = {one["metadata"]["name"]: one for one in objects if one["kind"] == "Secret"}
    data = {name: one["stringData"] for name, one in secrets.items()}
    postgresql = data["tidemill-postgresql"]
    assert f"feast:{postgresql['feast']}@" in data["tidemill-secrets"]["TIDEMILL_REGISTRY"]
    assert f"governor:{postgresql['governor']}@" in data["tidemill-governor"]["TIDEMILL_GOVERNOR_DATABASE"]
    assert f"mlflow:{postgresql['mlflow']}@" in data["tidemill-mlflow"]["uri"]
    assert f":{data['tidemill-redis']['password']}@" in data["tidemill-secrets"]["TIDEMILL_ONLINE_STORE"]
    keys = data["tidemill-storage"]
    assert data["tidemill-secrets"]["TIDEMILL_S3_SECRET_KEY"] == keys["AWS_SECRET_ACCESS_KEY"]
    (identity,) = yaml.safe_load(data["tidemill-object-store"]["s3.json"])["identities"]
    assert identity["credentials"][0]["secretKey"] == keys["AWS_SECRET_ACCESS_KEY"]
    assert {one["metadata"]["annotations"]["helm.sh/resource-policy"] for one in secrets.values()} == {"keep"}


def test_what_is_not_named_is_no_setting():
    settings = find(render("small", "--set", "monitoring.prometheusUrl="), "ConfigMap", "tidemill-settings")["data"]
    pages = {"TIDEMILL_MLFLOW_UI", "TIDEMILL_PIPELINES_UI"}
    assert not ({"TIDEMILL_PROMETHEUS_URL", "TIDEMILL_GATEWAY_URL"} | pages) & set(settings)
    named = find(render("small", "--set", "gatewayUrl=http://gateway"), "ConfigMap", "tidemill-settings")["data"]
    assert named["TIDEMILL_GATEWAY_URL"] == "http://gateway"
    uis = ("--set", "mlflow.ui=https://mlflow.example", "--set", "pipelines.ui=https://kubeflow.example/pipeline")
    linked = find(render("small", *uis), "ConfigMap", "tidemill-settings")["data"]
    assert {linked[name] for name in pages} == {"https://mlflow.example", "https://kubeflow.example/pipeline"}


def test_external_stores_leave_no_trace_of_the_embedded_ones():
    objects = render("external")
    assert [one["metadata"]["name"] for one in objects if one["kind"] in ("StatefulSet", "Secret")] == []
    settings = find(objects, "ConfigMap", "tidemill-settings")["data"]
    assert settings["TIDEMILL_S3_ENDPOINT"] == "https://s3.eu-central-1.amazonaws.com"


def test_what_a_container_mounts_is_a_volume_of_its_pod_and_an_object_of_the_chart():
    objects = render("production", *VARIANTS["production"])
    made = {(one["kind"], one["metadata"]["name"]) for one in objects}
    for name, pod in list_pods(objects).items():
        volumes = {volume["name"] for volume in pod["volumes"]} | {"data"}
        for container in [*pod.get("initContainers", []), *pod["containers"]]:
            assert {mount["name"] for mount in container["volumeMounts"]} <= volumes, name
        assert ("ServiceAccount", pod["serviceAccountName"]) in made
        for volume in pod["volumes"]:
            sources = [volume, *volume.get("projected", {}).get("sources", [])]
            used = {("ConfigMap", one["configMap"]["name"]) for one in sources if "configMap" in one}
            used |= {
                ("Secret", one["secret"].get("secretName", one["secret"].get("name")))
                for one in sources
                if "secret" in one
            }
            assert used <= made, name


def _list_commands():
    words = {
        tuple(container["command"])
        for name, container in list_containers(render("small")).items()
        if container["image"].startswith("tidemill") and container["command"][0] in ("python", "tidemill")
    }
    return sorted(words)


def test_the_programs_of_the_image_take_the_options_that_the_chart_gives_them():
    """Each command with its options, and `--help` at the end, which alone would hide a wrong one of them."""
    commands = _list_commands()
    assert len(commands) == 5
    for command in commands:
        options = [word.partition("=")[0] for word in command if word.startswith("--")]
        program = [word for word in command if not word.startswith(("--", "/"))]
        start = (
            [sys.executable, *program[1:]]
            if program[0] == "python"
            else [sys.executable, "-m", "pipelines.commands", *program[1:]]
        )
        done = subprocess.run(
            [*start, "--help"],
            capture_output=True,
            text=True,
            cwd=ROOT,
            env={"PATH": "", "TERM": "dumb", "COLUMNS": "200"},
        )
        assert done.returncode == 0, done.stderr
        assert [option for option in options if option not in done.stdout] == [], command


def test_every_template_is_rendered_by_one_of_the_variants():
    rendered = set()
    for profile, options in VARIANTS.items():
        done = run_helm("template", profile, *options)
        rendered |= set(re.findall(r"^# Source: tidemill/templates/(.+)$", done.stdout, re.MULTILINE))
    files = {file.name for file in (CHART / "templates").glob("*.yaml")}
    assert files - rendered == {"checks.yaml"}


def test_the_endpoint_of_each_problem_has_a_stable_address():
    service = find(render("small"), "Service", "flight-delays")
    assert service["spec"]["selector"] == {
        "serving.kserve.io/inferenceservice": "flight-delays",
        "component": "predictor",
    }
    assert service["metadata"]["labels"]["tidemill.io/problem"] == PROBLEM


def test_the_small_profile_leaves_room_for_the_rest_on_one_node():
    """What values-small.yaml says of itself; Jobs and commands end, MLflow's first container before the second."""
    containers = [container for pod in list_pods(render("small")).values() for container in pod["containers"]]
    services = [one["resources"]["requests"] for one in containers if one["name"] not in ("bootstrap", "operations")]
    assert sum(int(one["cpu"].removesuffix("m")) for one in services) <= 350
    assert sum(int(one["memory"].removesuffix("Mi")) for one in services) <= 1.35 * 1024
