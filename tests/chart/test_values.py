"""values.yaml is the documentation: what it does not know or bounds is refused, and all of it is used."""

import re
import shutil

import pytest
import yaml

from pipelines.commands.chart_files import read_values
from tests.chart.rendering import CHART, refuse, run_helm

TEMPLATES = "".join(file.read_text() for file in (CHART / "templates").iterdir())


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("governer.enabled=false", "governer"),
        ("governor.tickSecond=5", "tickSecond"),
        ("postgresql.image.tagg=17", "tagg"),
        ("mlflow.resources.limits.memroy=1Gi", "memroy"),
        ("problems.Flight_Delays=x", "Flight_Delays"),
    ],
)
def test_a_typo_is_refused_by_its_name(value, words):
    assert words in refuse("--set", value)


@pytest.mark.parametrize(
    "value",
    [
        "image.pullPolicy=Sometimes",
        "image.tag=latest",
        "image.digest=sha256:123",
        "settings.bucket=My_Bucket",
        "settings.predictionLog=maybe",
        "settings.predictionLogSegmentSeconds=1",
        "secrets.redis=admin123",
        "postgresql.externalPort=70000",
        "redis.maximumMemoryMebibytes=0",
        "redis.storage.size=lots",
        "redis.image.tag=latest",
        "mlflow.workers=0",
        "governor.tickSeconds=0",
        "exporter.refreshSeconds=1",
        "reports.replicas=0",
        "mlflow.resources.limits.memory=lots",
        "pipelines.mode=many-user",
        "monitoring.alerting=mail",
        "monitoring.interval=often",
        "monitoring.mailAddresses=nobody",
        "objectStore.externalEndpoint=s3.example",
        "quota.pods=1",
    ],
)
def test_a_value_out_of_its_bounds_is_refused(value):
    key = value.partition("=")[0]
    assert key.rpartition(".")[2] in refuse("--set-string" if "predictionLog=" in value else "--set", value)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (["postgresql.embedded=false"], "secrets.settings must be existing when postgresql.embedded is false"),
        (["redis.embedded=false"], "secrets.settings must be existing when redis.embedded is false"),
        (
            ["postgresql.embedded=false", "secrets.settings=existing"],
            "secrets.governor must be existing when postgresql.embedded is false",
        ),
        (
            ["postgresql.embedded=false", "secrets.settings=existing", "secrets.governor=existing"],
            "secrets.mlflow must be existing when postgresql.embedded is false",
        ),
        (["objectStore.embedded=false"], "secrets.settings and secrets.storage must be existing"),
        (
            ["objectStore.embedded=false", "secrets.settings=existing", "secrets.storage=existing"],
            "objectStore.externalEndpoint must be set",
        ),
        (["mlflow.embedded=false"], "mlflow.externalUri must be set"),
        (["image.tag="], "image.tag or image.digest must be set"),
        (["problems.wine=name: beer"], 'problems.wine must be the contract named wine, but its name is "beer"'),
    ],
)
def test_values_that_contradict_each_other_are_refused_in_words(values, words):
    options = [word for value in values for word in ("--set", value)]
    assert words in " ".join(refuse(*options).split())


def test_every_value_is_used_by_a_template():
    unused = []
    for value in read_values((CHART / "values.yaml").read_text()):
        used = value.is_section or re.search(rf"\.{value.path[-1]}\b", TEMPLATES) or f'"{value.path[-1]}"' in TEMPLATES
        if not used:
            unused.append(".".join(value.path))
    assert unused == []


def test_every_value_that_a_template_reads_is_declared():
    known = {".".join(value.path) for value in read_values((CHART / "values.yaml").read_text())}
    used = set(re.findall(r"\.Values\.([A-Za-z.]+[A-Za-z])", TEMPLATES))
    assert {name for name in used if name not in known} == set()


@pytest.mark.parametrize("profile", ["small", "production", "external"])
def test_a_profile_changes_only_what_differs_from_the_defaults(profile):
    defaults = yaml.safe_load((CHART / "values.yaml").read_text())
    same = []

    def compare(changes, base, path):
        for key, value in changes.items():
            if isinstance(value, dict):
                compare(value, base[key], [*path, key])
            elif base[key] == value:
                same.append(".".join([*path, key]))

    compare(yaml.safe_load((CHART / f"values-{profile}.yaml").read_text()), defaults, [])
    assert same == []


def test_the_notes_say_what_is_in_force_and_what_comes_next(tmp_path):
    # Helm shows notes of a chart that it installs on a cluster: here a template of a copy includes them.
    chart = shutil.copytree(CHART, tmp_path / "tidemill")
    text = '{{ include (print $.Template.BasePath "/NOTES.txt") . | indent 2 }}'
    (chart / "templates" / "notes.yaml").write_text(f"notes: |\n{text}\n")
    done = run_helm("template", "small", "--show-only", "templates/notes.yaml", chart=chart)
    assert done.returncode == 0, done.stderr
    for part in ("problems       flight-delays", "embedded PostgreSQL", "secrets        generated", "port-forward"):
        assert part in done.stdout
