"""What of the last released chart an upgrade must find again: `python -m tests.chart.released` writes it anew.

Kubernetes refuses to change some fields of an object that is there, and a renamed object loses its data: the file
`released.json` has the objects of the release before, with these fields. It is written when a version is released, and
a change of it is the plan of a migration.
"""

import json
from pathlib import Path
from typing import Any

from tests.chart.rendering import CHART, PROFILES, Object, render

FILE = Path(__file__).with_name("released.json")


def read_fixed(one: Object) -> dict[str, Any]:
    """Return the fields that cannot be changed in place, or that hold data."""
    spec = one.get("spec", {})
    fixed = {
        "Deployment": lambda: {"selector": spec["selector"]},
        "StatefulSet": lambda: {
            "selector": spec["selector"],
            "serviceName": spec["serviceName"],
            "claims": [
                {"name": claim["metadata"]["name"], "modes": claim["spec"]["accessModes"]}
                for claim in spec["volumeClaimTemplates"]
            ],
            "paths": sorted(
                mount["mountPath"]
                for container in spec["template"]["spec"]["containers"]
                for mount in container["volumeMounts"]
                if mount["name"] == "data"
            ),
            "user": spec["template"]["spec"]["securityContext"]["runAsUser"],
        },
        "RoleBinding": lambda: {"roleRef": one["roleRef"]},
        "Service": lambda: {"selector": spec["selector"], "ports": [port["port"] for port in spec["ports"]]},
        "Secret": lambda: {"keys": sorted(one["stringData"])},
        "ConfigMap": lambda: {"keys": sorted(one["data"])},
    }
    return fixed.get(one["kind"], dict)()


def describe(profile: str) -> dict[str, Any]:
    """Return each object of a profile by kind and name; the Job of a revision is made anew each time."""
    return {
        f"{one['kind']}/{one['metadata']['name']}": read_fixed(one) for one in render(profile) if one["kind"] != "Job"
    }


def read_version() -> str:
    """Return the version of the chart in this tree."""
    lines = (CHART / "Chart.yaml").read_text().splitlines()
    return next(line.removeprefix("version: ") for line in lines if line.startswith("version: "))


if __name__ == "__main__":
    content = {"version": read_version(), **{profile: describe(profile) for profile in PROFILES}}
    FILE.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n")
