"""_core.pyi is what the pinned pybind11-stubgen makes of the module; those of Cython name what is there."""

import ast
import importlib
import importlib.metadata
import inspect
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import timeloom

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "python" / "timeloom"
CYTHON_STUBS = sorted(path.with_suffix(".pyi") for path in PACKAGE.rglob("*.pyx"))
COMMAND = [sys.executable, "-m", "pybind11_stubgen", "timeloom._core", "--exit-code"]


def test_stubgen_is_the_pinned_one() -> None:
    pinned = re.search(r"pybind11-stubgen==([\d.]+)", (ROOT / "pyproject.toml").read_text())
    assert pinned is not None
    assert importlib.metadata.version("pybind11-stubgen") == pinned.group(1)


def test_stub_is_fresh(tmp_path: Path) -> None:
    subprocess.run([*COMMAND, "--output-dir", str(tmp_path)], check=True, capture_output=True, text=True)
    generated = (tmp_path / "timeloom" / "_core.pyi").read_text()
    committed = (Path(timeloom.__file__).parent / "_core.pyi").read_text()
    assert committed == generated, "see CONTRIBUTING.md for the command that writes python/timeloom/_core.pyi"


def parameters_of(function: Any) -> list[str]:
    return list(inspect.signature(function).parameters)


@pytest.mark.parametrize("stub", CYTHON_STUBS, ids=lambda path: path.stem)
def test_stub_of_cython_names_what_the_module_has(stub: Path) -> None:
    name = ".".join(("timeloom", *stub.relative_to(PACKAGE).with_suffix("").parts))
    module = importlib.import_module(name)
    declared = set()
    for node in ast.parse(stub.read_text()).body:
        if isinstance(node, ast.FunctionDef):
            found = getattr(module, node.name)
            assert parameters_of(found) == [argument.arg for argument in every_argument(node)], node.name
        elif isinstance(node, ast.ClassDef):
            found = getattr(module, node.name)
            for member in node.body:
                if isinstance(member, ast.FunctionDef):
                    assert callable(getattr(found, member.name)), f"{node.name}.{member.name}"
                elif isinstance(member, ast.AnnAssign) and isinstance(member.target, ast.Name):
                    assert hasattr(found, member.target.id), member.target.id
        else:
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                name = node.target.id  # an alias for types begins with an underscore
                assert name.startswith("_") or hasattr(module, name), name
            continue
        declared.add(node.name)
    own = {
        name
        for name, found in vars(module).items()
        if getattr(found, "__module__", None) == module.__name__
        and callable(found)
        and not isinstance(found, type)
    }
    assert own <= declared, own - declared


def every_argument(node: ast.FunctionDef) -> list[ast.arg]:
    given = node.args
    in_order = [*given.posonlyargs, *given.args, given.vararg, *given.kwonlyargs, given.kwarg]
    return [argument for argument in in_order if argument is not None]
