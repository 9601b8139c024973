"""Compare the tables of an installation with those that this checkout works with.

In: an environment with an embedded PostgreSQL. Out: one line a migration that an upgrade brings. Called by
`tidemill upgrade`. Migrations themselves run where the tables are used: MLflow's in its pod before the server starts,
the governor's when it opens its database.
"""

from components.governor.schema import SCHEMA_VERSION
from pipelines.cluster.environment import Environment
from pipelines.cluster.kubectl import Kubectl


def list_migrations(environment: Environment) -> list[str]:
    """Return the databases whose tables are of another version than this checkout's, with both versions."""
    from components.base.adapters.mlflow_schema import newest_schema

    found = {
        "mlflow": (_ask(environment, "mlflow", "SELECT version_num FROM alembic_version"), newest_schema()),
        "governor": (_ask(environment, "governor", "SELECT version FROM governor_schema"), str(SCHEMA_VERSION)),
    }
    return [
        f"database {name}: tables of version {held} -> {wanted}"
        for name, (held, wanted) in found.items()
        if held != wanted
    ]


def _ask(environment: Environment, database: str, query: str) -> str:
    """Return the only value of a query; `?` where there is no embedded PostgreSQL."""
    kubectl = Kubectl(environment.namespace)
    if not kubectl.read("statefulset", "tidemill-postgresql"):
        return "?"
    psql = ("psql", "--host=/tmp", "--username=postgres", f"--dbname={database}", "--tuples-only", "--no-align")
    return kubectl.run("exec", "tidemill-postgresql-0", "--", *psql, f"--command={query}").strip()
