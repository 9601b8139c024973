"""`tidemill compile`: write a pipeline as the YAML that Kubeflow Pipelines takes."""

from pathlib import Path
from typing import Annotated

import typer

from components.base.runner import Pipeline


def compile_pipeline(
    pipeline: Annotated[Pipeline, typer.Argument(help="Pipeline to compile.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write. Default: <pipeline>.yaml.")
    ] = None,
    image: Annotated[
        str | None,
        typer.Option(help="Image of every step, by digest. Default: a name that holds the code's fingerprint."),
    ] = None,
    manifest: Annotated[
        bool,
        typer.Option("--manifest", help="Write the custom resources Pipeline and PipelineVersion, for GitOps."),
    ] = False,
    namespace: Annotated[str, typer.Option(help="Of the custom resources.")] = "kubeflow",
) -> None:
    """Write a pipeline as YAML for Kubeflow Pipelines. The same code gives the same file on every machine.

    [bold]Example[/]

    tidemill compile training --image registry.example/tidemill-python@sha256:… -o training.yaml

    tidemill compile training --image registry.example/tidemill-python@sha256:… --manifest --namespace kubeflow
    """
    from pipelines.runners.compile import compile_manifest, compile_to

    written = output or Path(f"{pipeline}.yaml")
    if manifest:
        compile_manifest(written, pipeline, namespace, image)
    else:
        compile_to(written, pipeline, image)
    typer.echo(f"{written}: {pipeline} pipeline")
