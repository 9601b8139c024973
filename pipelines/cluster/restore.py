"""Bring an installation back from a backup into an empty namespace, and compare it with what was kept.

In: a backup's folder and the file of its Secrets. Out: the same chart, values, passwords, rows, objects and answers.
Called by `tidemill restore` and by the drill. The order: passwords, the chart with everything empty, services stopped,
rows and objects, services started, comparison, endpoints, recurring runs. One that was interrupted is begun anew after
`tidemill undeploy --delete-data`.
"""

import json
from pathlib import Path
from typing import IO

from components.base.errors import PermanentError, TidemillError
from pipelines.cluster.backup import DATABASES, POSTGRESQL, Backup, describe, dump_of, read_backup, stores_of, values_of
from pipelines.cluster.deploy import LABEL, find_platform, keeps_schedules
from pipelines.cluster.environment import Environment
from pipelines.cluster.helm import Helm, Say, merge_values
from pipelines.cluster.kubectl import Kubectl
from pipelines.cluster.operations import open_operations
from pipelines.cluster.state import InstallationState, compare_states, summarize_state

# The services that write; the stores go on.
_SERVICES = ("deployment", "--selector", LABEL)
_TIMEOUT_SECONDS = 600.0
_DRILL_WORDS = ("--set", "pipelines.mode=multi-user,pipelines.namespace=,gatewayUrl=")


def restore(environment: Environment, folder: Path, secrets: Path, say: Say, *, is_drill: bool = False) -> list[str]:
    """Restore a backup, and return what differs from what was kept, a sentence each.

    Args:
        environment: Where to; its namespace must be empty.
        folder: The backup.
        secrets: The file that was written beside it.
        say: Takes a line of progress.
        is_drill: Keep away from Kubeflow, KServe and the governor, which belong to the installation itself.

    Raises:
        PermanentError: the namespace is not empty, or a part of the restoration fails.
        DataError: the backup is not whole.
    """
    backup, kubectl = read_backup(folder), Kubectl(environment.namespace)
    _check_empty(environment, kubectl)
    platform = find_platform(merge_values(environment), kubectl)
    _restore_secrets(environment, secrets)
    kept = ("--values", str(values_of(folder)), *(_DRILL_WORDS if is_drill else platform.words))
    # No recurring run may start on empty stores.
    Helm(environment, (*kept, "--set", "bootstrap.schedules=false")).upgrade(_TIMEOUT_SECONDS, say)
    say("The chart is installed; its stores are empty.")
    found = _fill(environment, backup, folder, say, is_drill=is_drill)
    differences = compare_states(backup.state, found)
    if platform.has_kserve and not is_drill:
        differences += _serve(environment, say)
    if keeps_schedules(json.loads(values_of(folder).read_text()), platform) and not is_drill:
        Helm(environment, kept).upgrade(_TIMEOUT_SECONDS, say)
        say("Recurring runs are those of the contracts.")
    return differences


def _fill(environment: Environment, backup: Backup, folder: Path, say: Say, *, is_drill: bool) -> InstallationState:
    """Put rows and objects back while no service works, start the services, and return what is there then."""
    kubectl = Kubectl(environment.namespace)
    replicas = {one["metadata"]["name"]: one["spec"]["replicas"] for one in kubectl.read(*_SERVICES)}
    kubectl.run("scale", *_SERVICES, "--replicas=0")
    _restore_databases(backup, folder, kubectl)
    say(f"Databases are restored: {', '.join(name for name in DATABASES if name not in backup.left_out)}.")
    with open_operations(environment) as pod:
        with stores_of(folder).open("rb") as file:
            pod.run("tidemill", "stores", "import", stdin=file)
        say("Bucket and online store are restored.")
        # A drill's governor would start trainings of its own.
        started = {"tidemill-mlflow": replicas["tidemill-mlflow"]} if is_drill else replicas
        for name, count in started.items():
            kubectl.run("scale", "deployment", name, f"--replicas={count}")
        for name in started:
            kubectl.run("rollout", "status", f"deployment/{name}", f"--timeout={_TIMEOUT_SECONDS:.0f}s")
        found = describe(pod)
    for line in summarize_state(found):
        say(f"  {line}")
    return found


def _serve(environment: Environment, say: Say) -> list[str]:
    """Let the endpoints answer with their champions; return why they do not."""
    try:
        with open_operations(environment) as pod:
            for line in pod.run("tidemill", "stores", "serve").splitlines():
                say(f"  {line}")
    except TidemillError as error:
        return [f"endpoints must answer with their champions, but do not: {error}"]
    return []


def _check_empty(environment: Environment, kubectl: Kubectl) -> None:
    held = kubectl.read("persistentvolumeclaim", "--selector", LABEL)
    if Helm(environment).find() or held:
        raise PermanentError(
            f"restore: the namespace {environment.namespace} must hold no installation and no volume of one, but does. "
            f"Run `make undeploy ENV={environment.name} DELETE_DATA=yes` first, or name another environment."
        )


def _restore_secrets(environment: Environment, path: Path) -> None:
    """Write the Secrets as Helm's own, so that the chart finds its passwords, in whatever namespace."""
    kept = json.loads(path.read_text(encoding="utf-8"))["secrets"]
    namespace = environment.namespace
    for one in kept:
        one["metadata"]["annotations"]["meta.helm.sh/release-namespace"] = namespace
        one["metadata"]["namespace"] = namespace
    kubectl = Kubectl(namespace)
    if not kubectl.read("namespace", namespace):
        kubectl.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
    kubectl.apply(kept)


def _restore_databases(backup: Backup, folder: Path, kubectl: Kubectl) -> None:
    """Put each dump in the place of the tables that the chart has just made."""
    for name in DATABASES:
        if name in backup.left_out:
            continue
        # The schema's own owner and rights are those of a new database: a dump says nothing of them.
        empty = "DROP SCHEMA public CASCADE; CREATE SCHEMA public AUTHORIZATION pg_database_owner"
        _exec(kubectl, "psql", name, "--quiet", "--set=ON_ERROR_STOP=1", f"--command={empty}")
        with dump_of(folder, name).open("rb") as file:
            _exec(kubectl, "pg_restore", name, "--exit-on-error", "--single-transaction", dump=file)


def _exec(kubectl: Kubectl, program: str, database: str, *words: str, dump: IO[bytes] | None = None) -> None:
    pod = (f"{POSTGRESQL}-0", "--container=postgresql", *(("--stdin",) if dump else ()))
    place = ("--host=/tmp", "--username=postgres", f"--dbname={database}")
    kubectl.run("exec", *pod, "--", program, *place, *words, stdin=dump)
