"""What the repository promises of itself: documentation that is true, modules that import where they must."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = set(re.findall(r"^([a-z][a-z-]*):", MAKEFILE, re.MULTILINE))
IMPLEMENTATION = sorted(
    ".".join(file.relative_to(ROOT).with_suffix("").parts)
    for file in (ROOT / "components").rglob("*.py")
    if file.name not in ("__init__.py", "steps.py", "step.py")
)


def tracked_files() -> list[Path]:
    listed = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return [ROOT / name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


def test_every_make_command_of_the_readme_is_a_target() -> None:
    named = set(re.findall(r"(?:^|`)make ([a-z][a-z-]+)", README, re.MULTILINE))
    assert {"demo", "test", "serve", "ui"} <= named
    assert named <= TARGETS


def test_every_make_target_is_phony_and_explained() -> None:
    for target in TARGETS:
        assert f".PHONY: {target}\n" in MAKEFILE
        assert re.search(rf"^{target}:.*## .+", MAKEFILE, re.MULTILINE), target


def test_every_link_of_the_documentation_leads_to_a_file() -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    links = [(page, link) for page in pages for link in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text())]
    assert links
    assert [f"{page.name}: {link}" for page, link in links if not (page.parent / link).exists()] == []


def test_tree_of_the_readme_matches_the_disk() -> None:
    tree = re.search(r"```text\n(tidemill/.*?)```", README, re.DOTALL)
    assert tree
    named = re.findall(r"^[ │├└─]*([\w.\-]+/?)\s+<-", tree[1], re.MULTILINE)
    assert len(named) > 5
    known = {file.name for file in tracked_files()} | {p.name + "/" for f in tracked_files() for p in f.parents}
    assert [name for name in named if name not in known] == []


def test_no_page_holds_a_placeholder() -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    assert [page.name for page in pages if "@@" in page.read_text()] == []


def test_no_tracked_file_is_over_one_megabyte() -> None:
    assert [str(file) for file in tracked_files() if file.stat().st_size > 1_000_000] == []


def test_implementation_imports_without_kfp() -> None:
    code = (
        "import sys, importlib\n"
        "class NoKfp:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] == 'kfp': raise ImportError('kfp is for steps only: ' + name)\n"
        "sys.meta_path.insert(0, NoKfp())\n"
        f"for name in {IMPLEMENTATION!r}: importlib.import_module(name)\n"
    )
    environment = {**os.environ, "_KFP_RUNTIME": "true"}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.parametrize("module", ["components.base.step", "pipelines.training"])
def test_pipeline_modules_do_not_reach_the_predictor(module: str) -> None:
    code = f"import {module}, sys; print([m for m in ('kserve', 'mlflow', 'feast', 'sklearn') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr[-2000:]
