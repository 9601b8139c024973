"""Environments: what their folders say, and what a person reads when one is wrong."""

import re

import pytest

from components.base.errors import PermanentError
from pipelines.cluster.environment import CHART, ENVIRONMENTS, load_environment


def _write(folder, text):
    (folder / "here").mkdir()
    (folder / "here" / "environment.yaml").write_text(text)
    return folder


def test_the_values_of_an_environment_come_after_those_of_its_profile():
    environment = load_environment("test")
    assert (environment.namespace, environment.release) == ("tidemill-test", "tidemill")
    assert environment.values == (CHART / "values-small.yaml", ENVIRONMENTS / "test" / "values.yaml")


def test_an_unknown_environment_is_answered_with_the_nearest_one():
    with pytest.raises(PermanentError, match=re.escape("but got 'produktion'. Did you mean 'production'?")):
        load_environment("produktion")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("namespace: Here\nprofile: huge\nparts: []\n", "here/environment.yaml: 2 faults.\n  namespace: "),
        (
            "namespace: here\nprofile: small\nparts: []\nsize: 3\n",
            "here/environment.yaml: size: Extra inputs are not permitted.",
        ),
        ("", "here/environment.yaml: 3 faults.\n  namespace: Field required."),
        ("namespace: [", "here/environment.yaml: the file: while parsing"),
        ("small", "here/environment.yaml: the file: "),
    ],
)
def test_every_fault_of_the_file_is_named(tmp_path, text, words):
    with pytest.raises(PermanentError, match=re.escape(words)):
        load_environment("here", _write(tmp_path, text))
