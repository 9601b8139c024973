"""Build Grafana's JSON from a `Board`: the only module that imports the Grafana SDK.

In: a `Board`. Out: JSON. Called by `dashboards`. Why the SDK and not JSON by hand: the type checker refuses an option
that a panel does not have, and a test reads the JSON back with its models, which drop a field that Grafana does not
know. Its version must stay pinned: pip prefers releases with an older scheme of version numbers, for Grafana 10.1.
"""

import json
import warnings

from components.alerting.grafana.board import Board, Panel, Query

with warnings.catch_warnings():
    # The SDK recommends the second schema, which needs Grafana 12; every version reads the first one.
    warnings.simplefilter("ignore", DeprecationWarning)
    from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, timeseries
    from grafana_foundation_sdk.cog.encoder import JSONEncoder
    from grafana_foundation_sdk.models.common import (
        BigValueColorMode,
        DataSourceRef,
        GraphThresholdsStyleMode,
        LegendDisplayMode,
        LegendPlacement,
    )
    from grafana_foundation_sdk.models.dashboard import (
        Dashboard,
        DashboardCursorSync,
        DynamicConfigValue,
        Threshold,
        ThresholdsMode,
        VariableRefresh,
    )

_HEIGHT = 8
_SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
_LIMIT = "limit"
_BAD, _GOOD = "red", "green"
# The look of a limit on every panel.
_LIMIT_LOOK = [
    DynamicConfigValue(id_val="color", value={"mode": "fixed", "fixedColor": _BAD}),
    DynamicConfigValue(id_val="custom.lineStyle", value={"fill": "dash", "dash": [10, 10]}),
    DynamicConfigValue(id_val="custom.fillOpacity", value=0),
]
_Panel = timeseries.Panel | stat.Panel


def build_dashboard(board: Board) -> dict[str, object]:
    """Return the dashboard as Grafana reads it."""
    problem = (
        dashboard.QueryVariable("problem")
        .label("Problem")
        .query("label_values(tidemill_contract_limit, problem)")
        .datasource(_SOURCE)
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
    )
    builder = (
        dashboard.Dashboard(board.title)
        .uid(f"tidemill-{board.name}")
        .description(board.description)
        .tags(["tidemill", "generated"])
        .timezone("utc")
        .readonly()
        .refresh("30s")
        .time("now-6h", "now")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .variables([dashboard.DatasourceVariable("datasource").label("Prometheus").type("prometheus"), problem])
    )
    number = 0
    for row in board.rows:
        number += 1
        builder = builder.with_row(dashboard.Row(row.title).id(number))
        for panel in row.panels:
            number += 1
            builder = builder.with_panel(_panel(panel, number))
    return _encode(builder.build())


def reread_dashboard(content: dict[str, object]) -> dict[str, object]:
    """Return the JSON as the SDK's models read it: without the fields that they do not know."""
    return _encode(Dashboard.from_json(content))


def _encode(built: Dashboard) -> dict[str, object]:
    content: dict[str, object] = json.loads(JSONEncoder(sort_keys=True).encode(built))
    return content


def _panel(panel: Panel, number: int) -> _Panel:
    built: _Panel = _timeseries(panel)
    if panel.kind == "stat":
        has_limit = panel.bad_from is not None or panel.bad_below is not None
        reduce = common.ReduceDataOptions().calcs(["lastNotNull"])
        colour = BigValueColorMode.BACKGROUND if has_limit else BigValueColorMode.NONE
        built = stat.Panel().reduce_options(reduce).color_mode(colour)
    steps = [Threshold(color=_GOOD)]
    if panel.bad_from is not None:
        steps = [Threshold(color=_GOOD), Threshold(value=panel.bad_from, color=_BAD)]
    if panel.bad_below is not None:
        steps = [Threshold(color=_BAD), Threshold(value=panel.bad_below, color=_GOOD)]
    built.title(panel.title).description(panel.description).unit(panel.unit).datasource(_SOURCE)
    built.id(number).height(_HEIGHT).span(panel.width)
    built.thresholds(dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps))
    queries = [*panel.queries, *([Query(panel.limit, _LIMIT)] if panel.limit else [])]
    for letter, query in zip("ABCDEFGH", queries, strict=False):
        target = prometheus.Dataquery().ref_id(letter).expr(query.expr).legend_format(query.legend)
        target = target.datasource(_SOURCE)
        built = built.with_target(target.instant() if panel.kind == "stat" else target.range())
    return built


def _timeseries(panel: Panel) -> timeseries.Panel:
    legend = common.VizLegendOptions().display_mode(LegendDisplayMode.LIST).placement(LegendPlacement.BOTTOM)
    built = timeseries.Panel().legend(legend.show_legend(True)).line_width(2).fill_opacity(8)
    if panel.limit:
        built = built.override_by_name(_LIMIT, _LIMIT_LOOK)
    if panel.bad_from is not None or panel.bad_below is not None:
        built = built.thresholds_style(common.GraphThresholdsStyleConfig().mode(GraphThresholdsStyleMode.DASHED))
    return built
