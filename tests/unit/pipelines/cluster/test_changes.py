"""What a person reads before an upgrade: objects and fields that differ, never a password."""

from pipelines.cluster.changes import ObjectChange, plan_changes

BEFORE = """
kind: Deployment
metadata: {name: tidemill-mlflow, namespace: here}
spec: {replicas: 1, template: {spec: {containers: [{image: 'tidemill:a'}]}}}
---
kind: Secret
metadata: {name: tidemill-redis, namespace: here}
stringData: {password: old}
---
kind: Job
metadata: {name: tidemill-bootstrap-1, namespace: here}
---
kind: Role
metadata: {name: tidemill-steps, namespace: kubeflow}
"""
AFTER = """
kind: Deployment
metadata: {name: tidemill-mlflow, namespace: here}
spec: {replicas: 2, template: {spec: {containers: [{image: 'tidemill:b'}]}}}
---
kind: Secret
metadata: {name: tidemill-redis, namespace: here}
stringData: {password: new}
---
kind: Job
metadata: {name: tidemill-bootstrap-2, namespace: here}
---
kind: Service
metadata: {name: flight-delays, namespace: here}
"""


def test_every_change_is_named_with_its_fields_and_no_password():
    assert plan_changes(BEFORE, AFTER, "here") == [
        ObjectChange(
            "change",
            "Deployment/tidemill-mlflow",
            ("spec.replicas: 1 -> 2", "spec.template.spec.containers[0].image: tidemill:a -> tidemill:b"),
        ),
        ObjectChange("remove", "Role/tidemill-steps in kubeflow"),
        ObjectChange("change", "Secret/tidemill-redis", ("stringData.password",)),
        ObjectChange("create", "Service/flight-delays"),
    ]


def test_the_job_of_a_revision_is_no_change():
    assert plan_changes(BEFORE, BEFORE.replace("bootstrap-1", "bootstrap-2"), "here") == []


def test_a_long_text_is_counted_and_not_shown():
    before = "kind: ConfigMap\nmetadata: {name: a}\ndata: {x: b}"
    after = before.replace("{x: b}", "{x: " + "c" * 100 + "}")
    assert plan_changes(before, after, "here") == [
        ObjectChange("change", "ConfigMap/a", ("data.x: b -> 100 characters",))
    ]
