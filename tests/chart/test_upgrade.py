"""An upgrade from the chart released before: rendered, and compared with what is installed then."""

import json

import pytest

from tests.chart.released import FILE, describe
from tests.chart.rendering import PROFILES, find, render

RELEASED = json.loads(FILE.read_text())


@pytest.mark.parametrize("profile", PROFILES)
def test_no_object_is_renamed_or_dropped(profile):
    assert set(RELEASED[profile]) - set(describe(profile)) == set()


@pytest.mark.parametrize("profile", PROFILES)
def test_what_cannot_be_changed_in_place_stays(profile):
    now = describe(profile)
    changed = {
        name: (fixed, now[name])
        for name, fixed in RELEASED[profile].items()
        if not name.startswith(("ConfigMap/", "Secret/")) and now[name] != fixed
    }
    assert changed == {}


@pytest.mark.parametrize("profile", PROFILES)
def test_settings_and_secrets_keep_their_keys(profile):
    now = describe(profile)
    gone = {
        name: sorted(set(fixed["keys"]) - set(now[name]["keys"]))
        for name, fixed in RELEASED[profile].items()
        if name.startswith(("ConfigMap/", "Secret/"))
    }
    assert {name: keys for name, keys in gone.items() if keys} == {}


def test_a_rendering_differs_from_the_next_one_in_its_new_passwords_only():
    """A cluster has the passwords, and an upgrade reads them there: without one everything else must be the same."""
    first = [one for one in render("small") if one["kind"] != "Secret"]
    second = [one for one in render("small", "--description", "again") if one["kind"] != "Secret"]
    assert first == second


def test_pods_start_anew_when_their_settings_change_and_only_then():
    def checksums(*options):
        template = find(render("small", *options), "Deployment", "tidemill-reports")["spec"]["template"]
        return template["metadata"]["annotations"]

    assert checksums() == checksums("--set", "governor.tickSeconds=7")
    assert checksums() != checksums("--set", "settings.bucket=other")


def test_a_new_version_of_the_chart_alone_starts_no_database_anew():
    """A label with the version in a pod would."""
    for one in render("small"):
        if one["kind"] == "StatefulSet":
            labels = one["spec"]["template"]["metadata"]["labels"]
            assert not {"helm.sh/chart", "app.kubernetes.io/version"} & set(labels)
