"""Arithmetic in contracts and alert files: limits from costs, thresholds from fields of the contract.

In: an expression such as `max(hours(24), hours(retraining.cooldown_hours))`, the values of its names, its functions.
Out: a number. Called by the loading of contracts, by `alert_file`, which refuses a bad expression, and by `alerts`.
Only numbers, names, the four operations and the given functions are allowed, so that a file cannot run code.
"""

import ast
import operator
from collections.abc import Callable, Mapping
from typing import Any

_OPERATIONS: dict[type[ast.operator], Callable[[Any, Any], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


def list_names(expression: str) -> list[str]:
    """Return the names of an expression that are no functions, dotted and in their order."""
    names: list[str] = []

    def read(name: str) -> float:
        names.append(name)
        return 1.0

    _visit(_parse(expression), read, lambda _, __: 1.0)
    return list(dict.fromkeys(names))


def evaluate(expression: str, values: Mapping[str, Any], functions: Mapping[str, Callable[..., float]]) -> float:
    """Return the number of an expression.

    Raises:
        ValueError: the expression does not parse, or uses an unknown name, function or operation.
    """

    def read(name: str) -> Any:
        if name not in values:
            raise ValueError(f"a name must be one of {', '.join(values) or '(none)'}, but got {name!r}")
        return values[name]

    def call(name: str, arguments: list[Any]) -> float:
        if name not in functions:
            raise ValueError(f"a function must be one of {', '.join(functions) or '(none)'}, but got {name!r}")
        return functions[name](*arguments)

    return float(_visit(_parse(expression), read, call))


def _parse(expression: str) -> ast.expr:
    try:
        return ast.parse(expression, mode="eval").body
    except SyntaxError as error:
        raise ValueError(f"the expression must be arithmetic, but got {expression!r}") from error


def _visit(node: ast.expr, read: Callable[[str], Any], call: Callable[[str, list[Any]], float]) -> Any:
    match node:
        case ast.Constant(value=int() | float() as number):
            return number
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_visit(operand, read, call)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATIONS:
            return _OPERATIONS[type(op)](_visit(left, read, call), _visit(right, read, call))
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]):
            return call(name, [_visit(argument, read, call) for argument in arguments])
        case ast.Name() | ast.Attribute():
            return read(ast.unparse(node))
    raise ValueError(f"the expression must be arithmetic, but got {ast.unparse(node)!r}")
