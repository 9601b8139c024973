"""Everything that an installation needs of a cluster, in one list: all faults at once, before anything is changed.

In: an environment. Out: its checks in the order in which a person corrects them. Called by `tidemill doctor` and by
`tidemill deploy`.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence

from components.base.adapters.kubernetes import Kubernetes
from components.base.errors import TidemillError
from pipelines.cluster.doctor.capacity import check_capacity
from pipelines.cluster.doctor.check import Check
from pipelines.cluster.doctor.permissions import check_permissions
from pipelines.cluster.doctor.programs import check_programs
from pipelines.cluster.doctor.rendering import render_chart
from pipelines.cluster.doctor.services import (
    check_clock,
    check_names,
    check_parts,
    check_storage,
    check_version,
    read_minor,
)
from pipelines.cluster.environment import ROOT, Environment
from pipelines.cluster.parts import load_parts

# A check says what it found; it does not wait for an API server that is replaced.
_PAUSES_SECONDS = (0.5,)


def check_cluster(environment: Environment, cluster: Kubernetes | None = None) -> Sequence[Check]:
    """Check a cluster for an environment; without one, that of the kubeconfig.

    What cannot be asked is a fault of its own, and the other checks go on.
    """
    cluster = cluster or Kubernetes("", pauses=_PAUSES_SECONDS)
    try:
        version = cluster.read("/version") or {}
        server = check_version(version)
    except TidemillError as error:
        advice = "Set KUBECONFIG, or the context, to a cluster that answers; `kubectl get --raw /version` asks it."
        return [*check_programs(None), Check("kubernetes", "fault", str(error), advice)]
    checks = [*check_programs(read_minor(version)), server]
    checks += _ask("clock", lambda: [check_clock(cluster.read_clock())])
    checks += _ask("DNS", lambda: [check_names(cluster)])
    checks += _ask("parts", lambda: check_parts(list(load_parts().values()), environment, cluster))
    if any(check.name == "helm" and check.state == "fault" for check in checks):
        return checks
    try:
        objects = render_chart(environment)
    except TidemillError as error:
        return [*checks, Check("values", "fault", str(error), f"Correct manifests/environments/{environment.name}.")]
    problems = ROOT / "pipelines" / "problems"
    checks += _ask("permissions", lambda: check_permissions(objects, environment.namespace, cluster))
    checks += _ask("storage class", lambda: [check_storage(objects, environment, cluster)])
    checks += _ask("capacity", lambda: check_capacity(objects, environment, problems, cluster))
    return checks


def _ask(name: str, check: Callable[[], Iterable[Check]]) -> Iterator[Check]:
    try:
        yield from check()
    except TidemillError as error:
        advice = (
            "Have the right to read it, of the whole cluster, bound to your account: the role `view` has most of it."
        )
        yield Check(name, "fault", f"cannot be read: {error}", advice)
