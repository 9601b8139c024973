"""A small problem with rows whose truth is known, as the models phase sees it."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from components.base.contract.load import load_problem
from components.base.dataset import ROLES, Feature, Prepared, write_prepared
from components.models.combine import HeldOut
from components.models.documents import Tuned, TunedFamily
from components.models.parallel import use_one_thread
from components.tasks import open_task

NUMERIC = ("warmth", "age", "noise")
CATEGORICAL = ("shop",)
FEATURES = tuple(
    Feature(name, kind, "request", f"the {name}")
    for kind, names in (("numeric", NUMERIC), ("categorical", CATEGORICAL))
    for name in names
)
# First day and days of each role: a gap of a day between them.
DAYS = {"train": (0, 40), "validation": (41, 16), "test": (58, 14)}
PER_DAY = 40
SHOPS = {"A": -0.8, "B": 0.0, "C": 0.8}


def make_rows(first_day, days, seed, strength=1.5):
    """Draw rows: outcome 1 is likelier with warmth and in shop C; age and noise say nothing."""
    generator = np.random.default_rng([seed, first_day])
    rows = days * PER_DAY
    start = pd.Timestamp("2013-01-01", tz="UTC") + pd.Timedelta(days=first_day)
    predicted_at = pd.Series(start + pd.to_timedelta(np.arange(rows) * 24 * 60 // PER_DAY, unit="min"))
    shop = generator.choice(list(SHOPS), rows)
    warmth = generator.normal(size=rows)
    logit = strength * warmth + np.vectorize(SHOPS.get)(shop) - 1.0
    table = pd.DataFrame(
        {
            "ticket": np.arange(rows) + first_day * PER_DAY,
            "scheduled_at": (predicted_at + pd.Timedelta(hours=2)).astype("datetime64[us, UTC]"),
            "predicted_at": predicted_at.astype("datetime64[us, UTC]"),
            "label_at": (predicted_at + pd.Timedelta(hours=5)).astype("datetime64[us, UTC]"),
            "warmth": np.where(generator.random(rows) < 0.05, np.nan, warmth),
            "age": generator.exponential(5, rows),
            "noise": generator.normal(size=rows),
            "shop": shop.astype(object),
            "late": (generator.random(rows) < 1 / (1 + np.exp(-logit))).astype("int8"),
        }
    )
    table.loc[table.index % 50 == 0, "shop"] = None
    return table


def sigmoid(logit):
    return 1 / (1 + np.exp(-logit))


def held_out(rows=1200, first=1.0, second=1.0, seed=0):
    """Out-of-fold predictions of two members that each see one half of the truth, with the given strengths."""
    generator = np.random.default_rng(seed)
    seen = generator.normal(size=(rows, 2))
    outcomes = (generator.random(rows) < sigmoid(first * seen[:, 0] + second * seen[:, 1] - 1)).astype(float)
    times = pd.Series(pd.date_range("2013-01-01", periods=rows, freq="h", tz="UTC"))
    folds = np.arange(rows) * 3 // rows
    return HeldOut(sigmoid(seen * [first or 0.3, second or 0.3] - 1)[:, :, None], outcomes, times, folds)


def write_rows(folder, tables):
    """Write a prepared folder of the tables by role, with its ledger and the test rows apart."""
    test_folder = folder / "test"
    test_folder.mkdir()
    for role, table in tables.items():
        table.to_parquet((test_folder if role == "test" else folder) / f"{role}.parquet", index=False)
    ledger = pd.concat(
        pd.DataFrame({"row_hash": table["ticket"].astype("uint64"), "role": role}) for role, table in tables.items()
    )
    ledger.to_parquet(folder / "ledger.parquet", index=False)
    counted = {role: len(table) for role, table in tables.items()}
    prepared = Prepared(folder, "late", FEATURES, {}, counted, "0" * 64, test_folder)
    write_prepared(prepared)
    return prepared


def change(task, **sections):
    """Return the task (or contract) with some fields of the contract changed and checked by the schema."""
    problem = getattr(task, "problem", task)
    document = problem.model_dump()
    for name, value in sections.items():
        document[name] = document[name] | value if isinstance(value, dict) else value
    changed = type(problem).model_validate(document)
    return changed if task is problem else open_task(changed)


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """Fit as the steps do: on one thread, or OpenMP spins where tests run side by side."""
    use_one_thread()


@pytest.fixture(scope="session")
def small():
    """What tests make their own problems and rows with."""
    return SimpleNamespace(
        FEATURES=FEATURES,
        NAMES=[feature.name for feature in FEATURES],
        make_rows=make_rows,
        write_rows=write_rows,
        change=change,
        held_out=held_out,
    )


def fit_columns(problem):
    """Return the contract of flights with the columns of the small rows."""
    return change(
        problem,
        examples={"key": ["ticket", "scheduled_at"]},
        baseline={"name": "shop_rule", "group_by": ["shop"]},
        slices=[{"column": "shop", "maximum_regression": 0.1, "minimum_rows": 100}],
        business={"capacity_per_day": 10, "capacity_periods_per_day": 1},
        search={
            "candidates": ["logistic", "naive_bayes"],
            "keep": 2,
            "select_rows": 1000,
            "tune_rows": 800,
            "trials": 9,
        },
    )


@pytest.fixture(scope="session")
def problem():
    """The flight contract, with the columns of the small rows."""
    return fit_columns(load_problem(Path(__file__).parents[3] / "pipelines/problems/flight-delays.yaml"))


@pytest.fixture(scope="session")
def task(problem):
    """The binary task of the contract."""
    return open_task(problem)


@pytest.fixture(scope="session")
def prepared(tmp_path_factory):
    """Rows of all three roles."""
    folder = tmp_path_factory.mktemp("prepared")
    return write_rows(folder, {role: make_rows(*DAYS[role], seed=1) for role in ROLES})


@pytest.fixture(scope="session")
def tuned(task):
    """What tune would hand on, with the default parameters."""
    families = tuple(
        TunedFamily(
            family=family,
            parameters=task.default_parameters(family),
            score=None,
            default_score=None,
            trials=(),
            rows=800,
            seconds=1,
        )
        for family in ("logistic", "naive_bayes")
    )
    return Tuned(
        problem=task.problem.name,
        metric=task.problem.metrics.primary,
        higher_is_better=True,
        trials=9,
        ceiling_seconds=900,
        families=families,
    )


@pytest.fixture(scope="session")
def model(task, prepared, tuned):
    """A release's model, as the ensemble step makes it."""
    from components.models.ensemble import build_ensemble

    return build_ensemble(task, prepared, tuned)
