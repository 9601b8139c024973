"""Upstream parts: what is there is left alone, what is missing comes in order."""

import re

import pytest

from components.base.errors import PermanentError
from pipelines.cluster.parts import choose_parts, load_parts, look_for
from pipelines.cluster.platform import Installer
from tests.unit.pipelines.cluster.cluster import Cluster, api, deployment, gateway_classes

PARTS = load_parts()
CLASSES = "/apis/gateway.networking.k8s.io/v1/gatewayclasses"
KSERVE = {
    "/apis/serving.kserve.io/v1beta1": api(InferenceService="inferenceservices"),
    "/apis/serving.kserve.io/v1alpha1": api(A="clusterstoragecontainers", B="inferencegraphs"),
    "/apis/apps/v1/namespaces/kserve/deployments/kserve-controller-manager": deployment("v0.20.0"),
}


def _install(cluster, *names, **options):
    lines = []
    count = Installer(cluster, lines.append, is_plan=True, **options).install(choose_parts(PARTS, names))
    return count, lines


def test_on_an_empty_cluster_everything_is_installed_in_order():
    count, lines = _install(Cluster({}), "kserve", "cert-manager", "gateway-api")
    assert count == 3
    assert [line.split()[0] for line in lines if not line.startswith(" ")] == ["gateway-api", "cert-manager", "kserve"]
    assert "  kubectl apply --server-side --kustomize manifests/platform/gateway-api" in lines
    assert any("helm upgrade --install kserve-crd https://" in line and "v0.20.0.tgz" in line for line in lines)


def test_what_is_there_is_left_alone_and_what_it_alone_needs_is_not_asked_for():
    count, lines = _install(Cluster(KSERVE), "cert-manager", "kserve")
    assert count == 0
    assert lines == [
        f"cert-manager    {PARTS['cert-manager'].version}  is not needed: kserve is there",
        f"kserve          {PARTS['kserve'].version}  is there: version v0.20.0",
    ]


def test_the_callers_word_applies_a_part_again():
    assert _install(Cluster(KSERVE), "cert-manager", "kserve", again=True)[0] == 2


def test_a_part_that_is_not_as_this_command_makes_it_is_named():
    late = KSERVE | {f"{name}": deployment(is_available=False) for name in KSERVE if "deployments" in name}
    assert "kserve/kserve-controller-manager is not available" in _install(Cluster(late), "kserve")[1][0]
    kinds = {path: answer for path, answer in KSERVE.items() if "deployments" not in path}
    assert "made by other means, or interrupted" in _install(Cluster(kinds), "kserve")[1][0]


def test_a_gateway_is_there_where_any_controller_has_accepted_a_class():
    assert look_for(PARTS["gateway"], Cluster({CLASSES: gateway_classes(False)})).missing == (
        "an accepted GatewayClass",
    )
    found = look_for(PARTS["gateway"], Cluster({CLASSES: gateway_classes(False, True)}))
    assert (found.missing, found.absent, found.words) == ((), (), "GatewayClass class-1 is accepted")


def test_a_kind_that_is_not_listed_is_named_with_its_group():
    partly = {"/apis/gateway.networking.k8s.io/v1": api(Gateway="gateways", GatewayClass="gatewayclasses")}
    assert look_for(PARTS["gateway-api"], Cluster(partly)).missing == ("httproutes.gateway.networking.k8s.io",)


def test_an_unknown_part_is_answered_with_the_nearest_one():
    with pytest.raises(PermanentError, match=re.escape("but got 'kserv'. Did you mean 'kserve'?")):
        choose_parts(PARTS, ("kserv",))
