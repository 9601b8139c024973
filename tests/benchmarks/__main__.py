"""Run every benchmark, one after the other, or those named: `python -m tests.benchmarks endpoint`."""

import importlib
import pkgutil
import sys

from rich.console import Console

import tests.benchmarks as package


def main() -> None:
    """Run the named benchmarks, or all."""
    console = Console()
    known = [module.name for module in pkgutil.iter_modules(package.__path__) if module.name.startswith("bench_")]
    wanted = sys.argv[1:] or [name.removeprefix("bench_") for name in known]
    sys.argv = sys.argv[:1]
    for name in wanted:
        console.rule(name, align="left")
        importlib.import_module(f"tests.benchmarks.bench_{name}").main()


if __name__ == "__main__":
    main()
