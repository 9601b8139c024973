"""Two teams, two namespaces: nothing of one release reaches into the other, and nothing is of the whole cluster."""

import yaml

from tests.chart.rendering import find, render

TEAMS = ("team-a", "team-b")
# Several teams need Kubeflow's profiles: one namespace of runs each.
PROFILES = ("--set", "pipelines.mode=multi-user")


def test_a_release_stays_in_its_namespace():
    for team in TEAMS:
        objects = render("production", *PROFILES, namespace=team)
        assert {one["metadata"]["namespace"] for one in objects} == {team}
        assert not {"ClusterRole", "ClusterRoleBinding", "Namespace"} & {one["kind"] for one in objects}


def test_the_objects_of_a_team_never_name_the_other_one():
    for team, other in (TEAMS, TEAMS[::-1]):
        assert other not in yaml.safe_dump(render("small", *PROFILES, namespace=team))


def test_only_the_team_s_own_accounts_get_its_roles():
    for team in TEAMS:
        bindings = [one for one in render("production", *PROFILES, namespace=team) if one["kind"] == "RoleBinding"]
        assert bindings
        assert {subject["namespace"] for one in bindings for subject in one["subjects"]} == {team}
        assert {one["roleRef"]["kind"] for one in bindings} == {"Role"}


def test_steps_may_read_two_objects_by_name_and_no_other_secret():
    roles = ("tidemill-steps", "tidemill-deploy")
    rules = [rule for role in roles for rule in find(render("small", *PROFILES), "Role", role)["rules"]]
    reading = [rule for rule in rules if {"secrets", "configmaps"} & set(rule["resources"])]
    assert [rule["resourceNames"] for rule in reading] == [["kfp-launcher"], ["tidemill-storage"]]
    assert "*" not in {word for rule in rules for field in rule.values() for word in field}
    kserve = [rule["resources"] for rule in rules if "serving.kserve.io" in rule["apiGroups"]]
    assert kserve == [["inferenceservices"]]


def test_everything_is_closed_and_each_opening_has_its_reason():
    policies = [one for one in render("small", *PROFILES) if one["kind"] == "NetworkPolicy"]
    deny = find(policies, "NetworkPolicy", "default-deny")["spec"]
    assert deny == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    for one in policies:
        reasons = one["metadata"]["annotations"]
        assert len(reasons.get("tidemill.io/reason", reasons.get("tidemill.io/reasons", ""))) > 20
    # Another team's namespace is in none of them: a store is opened to pods of its own namespace, or to Kubeflow.
    peers = [
        peer["namespaceSelector"]
        for one in policies
        for rule in one["spec"].get("ingress", [])
        for peer in rule["from"]
        if "namespaceSelector" in peer
    ]
    assert {peer["matchLabels"]["kubernetes.io/metadata.name"] for peer in peers} == {
        "gateway",
        "kubeflow",
        "monitoring",
    }


def test_each_store_is_open_to_those_that_use_it_only():
    def sources(target):
        policy = find(render("small", *PROFILES), "NetworkPolicy", f"tidemill-{target}")
        peers = [
            peer["podSelector"] for rule in policy["spec"]["ingress"] for peer in rule["from"] if "podSelector" in peer
        ]
        return {
            peer["matchLabels"]["app.kubernetes.io/component"]
            if "matchLabels" in peer
            else peer["matchExpressions"][0]["key"].partition("/")[2]
            for peer in peers
        }

    pods = {"inferenceservice", "workflow"}
    assert sources("redis") == {"bootstrap", "operations"} | pods
    assert sources("postgresql") == {"mlflow", "governor", "bootstrap", "operations"} | pods
    readers = {"mlflow", "governor", "bootstrap", "operations", "exporter", "reports"}
    assert sources("object-store") == readers | pods


def test_a_quota_comes_with_limits_for_containers_that_have_none():
    objects = render("production")
    assert find(objects, "ResourceQuota", "tidemill")["spec"]["hard"]["limits.memory"] == "256Gi"
    (limits,) = find(objects, "LimitRange", "tidemill")["spec"]["limits"]
    assert set(limits) == {"type", "default", "defaultRequest"}


def test_runs_in_the_namespace_of_kubeflow_get_their_settings_there():
    objects = render("small")
    there = {(one["kind"], one["metadata"]["name"]) for one in objects if one["metadata"]["namespace"] == "kubeflow"}
    assert there == {
        ("ConfigMap", "tidemill-settings"),
        ("ConfigMap", "tidemill-problems"),
        ("Secret", "tidemill-secrets"),
        ("Secret", "tidemill-storage"),
        ("ServiceAccount", "tidemill-steps"),
        ("Role", "tidemill-steps"),
        ("RoleBinding", "tidemill-steps"),
    }
    deploy = find(objects, "RoleBinding", "tidemill-deploy")
    assert deploy["metadata"]["namespace"] == "tidemill"
    assert deploy["subjects"][0]["namespace"] == "kubeflow"
