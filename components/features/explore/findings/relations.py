"""Findings about features among themselves: pairs and clusters that say nearly the same.

In: `TrainingRows`. Out: statements with their figures. Called by explore.
"""

import numpy as np
import pandas as pd
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from components.base.statistics.resampling import Array
from components.base.text.figures import ACCENT, COLOURS, clip_label, new_figure
from components.base.text.wording import name_first, say_plainly, write_count
from components.features.explore.findings.finding import Statement, state
from components.features.explore.training_rows import TrainingRows

# From here on two features share two thirds of their variance in ranks.
REDUNDANT = 0.8
# Clusters that the headline names.
_CLUSTERS = 4
_LARGEST_PICTURE = 14


def find_redundant(training: TrainingRows) -> list[Statement]:
    """State which numeric features carry nearly the same ranks.

    Ranks are taken once over the present values of each column; pairs then leave out rows where one is missing, which
    differs from ranking each pair anew by less than the sampling error.
    """
    names = [feature.name for feature in training.features if feature.kind == "numeric"]
    sample = training.sample[names]
    varying = [name for name in names if sample[name].nunique() > 1]
    if len(varying) < 2:
        return []
    correlations = sample[varying].rank().corr().fillna(0.0)
    matrix = correlations.to_numpy()
    clusters = cluster_redundant(matrix, REDUNDANT)
    strength, pair = _strongest_pair(correlations)
    named = [name_first([say_plainly(varying[place]) for place in cluster]) for cluster in clusters]
    listed = "; ".join([*named[:_CLUSTERS], *([f"{len(named) - _CLUSTERS} more"] if len(named) > _CLUSTERS else [])])
    finding = {
        "id": "redundant_features", "kind": "relation", "severity": "note", "feature": pair[0],
        "headline": f"{len(clusters)} clusters of features say nearly the same: {listed}."
        if clusters
        else f"No two numeric features say the same: the closest, {say_plainly(pair[0])} and {say_plainly(pair[1])}, "
        f"have a "
        f"rank correlation of {strength:.2f}.",
        "detail": f"Spearman's rank correlation over {write_count(len(sample))} sampled rows, from -1 to 1; clusters "
        f"join pairs "
        f"from {REDUNDANT} on. Redundant features share their importance: read them together. The closest pair is "
        f"{say_plainly(pair[0])} and {say_plainly(pair[1])} with {strength:.2f}.",
        "alt": "Heat map of the rank correlations among numeric features, alike features beside each other.",
        "effect": abs(strength),
    }  # fmt: skip
    return [state(finding, _plot_matrix(correlations))]


def cluster_redundant(matrix: Array, limit: float) -> list[list[int]]:
    """Return groups of two or more rows of a correlation matrix that are linked by |r| >= limit."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components

    _, groups = connected_components(csr_array(np.abs(matrix) >= limit), directed=False)
    members = [np.flatnonzero(groups == group).tolist() for group in np.unique(groups)]
    return [group for group in members if len(group) > 1]


def _strongest_pair(correlations: pd.DataFrame) -> tuple[float, tuple[str, str]]:
    matrix = correlations.to_numpy().copy()
    np.fill_diagonal(matrix, 0.0)
    row, column = np.unravel_index(np.argmax(np.abs(matrix)), matrix.shape)
    names = correlations.columns.tolist()
    return float(matrix[row, column]), (str(names[row]), str(names[column]))


def _plot_matrix(correlations: pd.DataFrame) -> Figure:
    from scipy.cluster.hierarchy import leaves_list, linkage
    from scipy.spatial.distance import squareform

    matrix = correlations.to_numpy()
    # Alike features become neighbours: average linkage, optimal leaves.
    distance = np.clip(1 - np.abs(matrix), 0, 1)
    np.fill_diagonal(distance, 0.0)
    order = leaves_list(linkage(squareform(distance, checks=False), "average", optimal_ordering=True))
    if len(order) > _LARGEST_PICTURE:
        strongest = (np.abs(matrix) - np.eye(len(matrix))).max(axis=1)
        kept = set(np.argsort(-strongest)[:_LARGEST_PICTURE].tolist())
        order = np.array([place for place in order if place in kept])
    shown = matrix[np.ix_(order, order)]
    labels = [clip_label(say_plainly(str(correlations.columns[place]))) for place in order]
    figure, (axes,) = new_figure(3.4)
    colours = LinearSegmentedColormap.from_list("signed", [COLOURS["current"], "#f5f3ee", ACCENT])
    mesh = axes.pcolormesh(shown[::-1], cmap=colours, vmin=-1, vmax=1, edgecolors="white", linewidth=0.4)
    axes.set_xticks(np.arange(len(labels)) + 0.5, labels, rotation=60, ha="right", rotation_mode="anchor", fontsize=7.5)
    axes.set_yticks(np.arange(len(labels)) + 0.5, labels[::-1], fontsize=7.5)
    axes.grid(visible=False)
    figure.colorbar(mesh, ax=axes, shrink=0.7, aspect=18)
    return figure
