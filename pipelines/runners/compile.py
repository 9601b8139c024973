"""Compile a pipeline to the YAML that Kubeflow Pipelines takes; the environment has no influence on it.

In: the pipeline's name, and the image of its steps where it is given by name. Out: a file. Called by `tidemill compile`
and by `kubeflow.py`. Without an image each step keeps the name that `components/base/step.py` makes of its code.
"""

from pathlib import Path
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
    if image is None:
        return
    # A pipeline with settings for a platform has a second document.
    spec, *rest = yaml.safe_load_all(path.read_text())
    for executor in spec["deploymentSpec"]["executors"].values():
        executor["container"]["image"] = image
    path.write_text(yaml.safe_dump_all([spec, *rest], sort_keys=True))
