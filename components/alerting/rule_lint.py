"""Find faults in alert rules that promtool and Grafana accept without a word.

In: Grafana's provisioning of rules, parsed, and PromQL. Out: faults in words. Called by `make generate` before it
writes, and by the tests. Grafana's own schema misses all of these: a condition that names no query, PromQL that does
not parse, an evaluator that does not exist, `$labels` where the file provisioning expands it to nothing; promtool knows
nothing of Grafana, nor of which metrics exist. Needs promql-parser, which only a development install has.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from components.alerting.grafana.rules import EVALUATORS
from components.base.errors import suggest_name
from components.base.metric_names import exported_series

# The fields of a rule; Grafana ignores a field that it does not know.
_FIELDS = (
    *("uid", "title", "condition", "data", "for", "keepFiringFor", "noDataState", "execErrState"),
    *("labels", "annotations", "isPaused"),
)
_DURATION = re.compile(r"(\d+(ms|[smhdwy]))+")
_UID = re.compile(r"[a-z0-9-]{1,40}")
_NO_DATA_STATES = ("OK",)
_ERROR_STATES = ("Error", "KeepLast")
# Grafana overwrites these: alertname with the title.
_RESERVED_LABELS = ("alertname", "grafana_folder")
# Variables that Grafana replaces; the parser does not know `$`.
_VARIABLE = re.compile(r"\$__(?:rate_interval|interval|range)|\$\{?[a-z_]+\}?")


def lint_rules(provisioned: Mapping[str, Any]) -> Iterator[str]:
    """Yield the faults of a file of rule groups."""
    if provisioned.get("apiVersion") != 1:
        yield f"apiVersion must be 1, but got {provisioned.get('apiVersion')!r}."
    taken: list[str] = []
    for group in provisioned.get("groups", []):
        for rule in group.get("rules", []):
            where = f"{group.get('name')}/{rule.get('title')}"
            yield from (f"{where}: {fault}" for fault in lint_rule(rule))
            taken += [f"uid {rule.get('uid')}", f"title {rule.get('title')!r} in {group.get('folder')}"]
    for name in sorted({name for name in taken if taken.count(name) > 1}):
        yield f"{name} must be of one rule, but {taken.count(name)} have it."


def lint_rule(rule: Mapping[str, Any]) -> Iterator[str]:
    """Yield the faults of one rule."""
    unknown = sorted(set(rule) - set(_FIELDS))
    yield from (f"field {name} must be a known one, but is not.{suggest_name(name, _FIELDS)}" for name in unknown)
    if not _UID.fullmatch(str(rule.get("uid"))):
        yield f"uid must be 1 to 40 of a-z, 0-9 and hyphens, but got {rule.get('uid')!r}."
    if not _DURATION.fullmatch(str(rule.get("for"))):
        yield f"for must be a duration, but got {rule.get('for')!r}."
    if rule.get("noDataState") not in _NO_DATA_STATES:
        yield f"noDataState must be OK, but got {rule.get('noDataState')!r}: no data is no alert."
    if rule.get("execErrState") not in _ERROR_STATES:
        yield f"execErrState must be one of {', '.join(_ERROR_STATES)}, but got {rule.get('execErrState')!r}."
    for name, value in rule.get("labels", {}).items():
        if name in _RESERVED_LABELS:
            yield f"label {name} must be left to Grafana, but got {value!r}."
        if "$" in str(value) or "{{" in str(value):
            yield f"label {name} must be a fixed text, but got {value!r}: Grafana expands $ in a file's labels."
    yield from _lint_form(rule)


def lint_query(expression: str) -> Iterator[str]:
    """Yield the faults of PromQL: it does not parse, or names a metric that nobody exports."""
    import promql_parser

    try:
        plain = _VARIABLE.sub(lambda found: "5m" if found[0].startswith("$__") else "x", expression)
        parsed = promql_parser.parse(plain)
    except ValueError as error:
        yield f"the query must be PromQL, but got {expression!r}: {error}."
        return
    names: set[str] = set()

    def visit(node: object) -> None:
        if isinstance(node, promql_parser.VectorSelector) and node.name:
            names.add(str(node.name))

    promql_parser.walk(parsed, visit)
    for name in sorted(names - exported_series()):
        yield f"the query must name exported metrics, but nobody exports {name}."


def _lint_form(rule: Mapping[str, Any]) -> Iterator[str]:
    """Check [A: instant query] -> [C: threshold] and nothing else."""
    nodes = {node.get("refId"): node for node in rule.get("data", [])}
    condition = nodes.get(rule.get("condition"))
    if condition is None:
        yield f"condition must name one of {', '.join(map(str, nodes))}, but got {rule.get('condition')!r}."
        return
    if len(nodes) != 2 or len(rule["data"]) != 2:
        yield f"data must be one query and one threshold, but got {', '.join(map(str, nodes))}."
        return
    yield from _lint_threshold(condition, nodes)
    query = next(node for ref, node in nodes.items() if ref != rule["condition"])
    model = query.get("model", {})
    if model.get("instant") is not True or model.get("range") is not False:
        yield "the query must be instant and no range, so that it has one value a series."
    yield from lint_query(str(model.get("expr")))


def _lint_threshold(node: Mapping[str, Any], nodes: Mapping[str, Any]) -> Iterator[str]:
    model = node.get("model", {})
    if node.get("datasourceUid") != "__expr__" or model.get("type") != "threshold":
        yield f"the condition must be a threshold, but got {model.get('type')!r}."
        return
    if model.get("expression") not in set(nodes) - {node.get("refId")}:
        yield f"the threshold must read the query, but reads {model.get('expression')!r}."
    evaluators = [condition.get("evaluator", {}) for condition in model.get("conditions", [])]
    kinds = [evaluator.get("type") for evaluator in evaluators]
    if len(kinds) != 1 or kinds[0] not in EVALUATORS.values():
        yield f"the threshold must have one evaluator of {', '.join(EVALUATORS.values())}, but got {kinds}."
    elif len(evaluators[0].get("params", [])) != 1:
        yield f"the evaluator must have one number, but got {evaluators[0].get('params')!r}."
