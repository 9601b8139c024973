"""Compile a pipeline to the YAML that Kubeflow Pipelines takes; the environment has no influence on it.

In: the pipeline's name, and the image of its steps where it is given by name. Out: a file. Called by `kubeflow.py`,
`schedules.py` and `tidemill compile`. Without an image each step keeps the name that `components/base/step.py` makes of
its code.
"""

import hashlib
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from components.base.runner import Pipeline


def import_pipeline(name: Pipeline) -> Any:
    """Import a pipeline, and kfp with it."""
    if name == "training":
        from pipelines.training import training

        return training
    if name == "refresh":
        from pipelines.refresh import refresh

        return refresh
    from pipelines.monitoring import monitoring

    return monitoring


def compile_to(path: Path, name: Pipeline, image: str | None = None) -> None:
    """Write the pipeline's YAML.

    Args:
        path: File to write; its name must end in .yaml.
        name: The pipeline.
        image: Runs every step; KFP's cache then reuses a step across images never, so name a digest.
    """
    from kfp import compiler

    from pipelines.on_cluster import prepare_for_cluster

    compiler.Compiler().compile(prepare_for_cluster(import_pipeline(name)), str(path))
    spec, platform = yaml.safe_load_all(path.read_text())
    for executor in spec["deploymentSpec"]["executors"].values():
        executor["container"]["image"] = image or executor["container"]["image"]
    for component in spec["components"].values():
        for task in component.get("dag", {}).get("tasks", {}).values():
            # Only on one machine the items of a loop would take the cores from each other.
            task.pop("iteratorPolicy", None)
    path.write_text(yaml.safe_dump_all([spec, platform], sort_keys=True))


def compile_manifest(path: Path, name: Pipeline, namespace: str, image: str | None = None) -> None:
    """Write the pipeline as the custom resources `Pipeline` and `PipelineVersion`.

    The version carries the fingerprint of its content: Kubeflow Pipelines never changes a version, so that another
    content needs another one, and the same content changes nothing.

    Args:
        path: File to write.
        name: The pipeline, and the resource.
        namespace: Of both resources.
        image: As in `compile_to`.
    """
    with TemporaryDirectory() as folder:
        compiled = Path(folder) / f"{name}.yaml"
        compile_to(compiled, name, image)
        content = compiled.read_bytes()
    spec, platform = yaml.safe_load_all(content)
    title, described = f"Tidemill {name}", spec["pipelineInfo"]["description"]
    version = {
        "description": described,
        "displayName": title,
        "pipelineName": name,
        "pipelineSpec": spec,
        "platformSpec": platform,
    }
    resources = [
        _resource("Pipeline", name, namespace, {"description": described, "displayName": title}),
        _resource("PipelineVersion", f"{name}-{hashlib.sha256(content).hexdigest()[:12]}", namespace, version),
    ]
    path.write_text(yaml.safe_dump_all(resources, sort_keys=True))


def _resource(kind: str, name: str, namespace: str, spec: dict[str, Any]) -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "pipelines.kubeflow.org/v2beta1", "kind": kind, "metadata": metadata, "spec": spec}
