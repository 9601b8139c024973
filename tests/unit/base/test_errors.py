import re

import pytest

from components.base import errors
from components.base.errors import (
    ContractError,
    PermanentError,
    TidemillError,
    TransientError,
    describe_faults,
    raise_faults,
    suggest_name,
)

KINDS = {kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, TidemillError)}


def test_every_error_is_either_permanent_or_transient():
    for kind in KINDS - {TidemillError}:
        assert issubclass(kind, PermanentError) != issubclass(kind, TransientError), kind


def test_every_error_is_drawn_in_the_tree():
    drawn = set(re.findall(r"\b\w+Error\b", errors.__doc__ or ""))
    assert drawn == {kind.__name__ for kind in KINDS}


def test_one_fault_is_written_on_one_line():
    assert describe_faults("settings", ["a must hold."]) == "settings: a must hold."


def test_many_faults_are_counted_and_listed():
    assert describe_faults("problem x.yaml", ["a.", "b."]) == "problem x.yaml: 2 faults.\n  a.\n  b."


def test_raise_faults_is_silent_without_faults():
    assert raise_faults(ContractError, "problem x.yaml", []) is None


def test_raise_faults_takes_a_generator_and_keeps_every_fault():
    with pytest.raises(ContractError, match=re.escape("problem x.yaml: 3 faults.\n  0.\n  1.\n  2.")):
        raise_faults(ContractError, "problem x.yaml", (f"{n}." for n in range(3)))


def test_suggest_name_offers_only_what_is_near():
    assert suggest_name("f1-macro", ["accuracy", "f1_macro"]) == " Did you mean 'f1_macro'?"
    assert suggest_name("zzz", ["accuracy", "f1_macro"]) == ""
