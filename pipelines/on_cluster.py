"""A pipeline as Kubeflow Pipelines runs it: the same steps, each with its resources, and a record of how the run ended.

In: one of the pipelines. Out: the same one with an exit handler and the settings of `resources.py`. Called by
`runners/compile.py`; on one machine the runner writes the record, and the pipeline runs as it is.
"""

from typing import Any

from kfp import dsl

from components.reports.steps import notify
from pipelines.resources import set_resources


def prepare_for_cluster(pipeline: Any) -> Any:
    """Build the pipeline again within an exit handler; its steps are the same, called from the same function."""

    @dsl.pipeline(name=pipeline.name, description=pipeline.description)
    def on_cluster(problem: str, as_of: str = "") -> None:
        """Run the steps, and record the end of the run whether it succeeded or failed.

        Args:
            problem: Name of the contract, which the cluster keeps in a ConfigMap.
            as_of: ISO 8601 time in UTC; nothing known later is read. Empty: when the run was due, else now.
        """
        # kfp.local knows no such placeholder: on one machine the runner gives a time.
        due = dsl.PIPELINE_JOB_SCHEDULE_TIME_UTC_PLACEHOLDER
        ended = notify(
            pipeline=pipeline.name,
            problem=problem,
            as_of=as_of,
            run_id=dsl.PIPELINE_JOB_ID_PLACEHOLDER,
            run_name=dsl.PIPELINE_JOB_NAME_PLACEHOLDER,
            created=dsl.PIPELINE_JOB_CREATE_TIME_UTC_PLACEHOLDER,
            due=due,
        )
        ended.set_caching_options(False)
        with dsl.ExitHandler(ended, name="steps"):
            pipeline.pipeline_func(problem=problem, as_of=as_of, due=due)
        set_resources()

    return on_cluster
