"""Link the pages of one release: from MLflow's run to the run of Kubeflow Pipelines, and back.

In: a release, and where the two UIs are for a browser. Out: MLflow tags, and Markdown for the run. Called by
`register` and its step. A UI whose address is not set is named without a link.
"""

from components.base.settings import Settings
from components.release.record import Release


def link_run(run_id: str, settings: Settings) -> dict[str, str]:
    """Return the tags that lead from MLflow to the pipeline's run; none without an address."""
    if settings.pipelines_ui is None:
        return {}
    url = f"{settings.pipelines_ui}/#/runs/details/{run_id}"
    # MLflow shows a tag as plain text; its note is Markdown, at the top of the run's page.
    return {"kfp_run_url": url, "mlflow.note.content": f"[Run {run_id} in Kubeflow Pipelines]({url})"}


def write_links(release: Release, settings: Settings) -> str:
    """Return Markdown that leads to the release in MLflow."""
    run, version = f"run `{release.mlflow_run}`", f"version {release.version} of `{release.problem}`"
    if settings.mlflow_ui:
        run = f"[{run}]({settings.mlflow_ui}/#/runs/{release.mlflow_run})"
        version = f"[{version}]({settings.mlflow_ui}/#/models/{release.problem}/versions/{release.version})"
    if release.version is None:
        version = "no version: the model was refused"
    lines = (f"# {release.verdict.capitalize()}", "", f"* MLflow: {run}", f"* Registry: {version}")
    return "\n".join((*lines, f"* Files: `{release.storage_uri}`", ""))
