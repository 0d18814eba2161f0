"""Who may include or import whom: the floors of the two trees, read from the sources."""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CSRC = ROOT / "csrc"
PACKAGE = ROOT / "python" / "timeloom"

# ---- C++ ---------------------------------------------------------------------------------------------

# floor: the floors it may include; runtime meets kernels only through base/kernel_table.h
CPP_FLOORS = {
    "base": {"base"},
    "simd": {"base", "simd"},
    "cells": {"base", "simd", "cells"},
    "kernels": {"base", "simd", "cells", "kernels"},
    "runtime": {"base", "runtime"},
    "bindings": {"base", "runtime", "bindings"},
}
# System headers a floor may include. The floors inside an ISA namespace have none but those that
# table.cpp includes first, at global scope.
SYSTEM_HEADERS = {
    "base": re.compile(r"cstddef|cstdint"),
    "simd": re.compile(r"(?!)"),
    "cells": re.compile(r"(?!)"),
    "kernels": re.compile(r"(?!)"),
    "runtime": re.compile(r"(?!pybind11|Python\.h).*"),
    "bindings": re.compile(r"(?!omp\.h|immintrin|x86intrin).*"),
}
# Gathers what differs by compiler; table.cpp includes it first, at global scope.
COMPILER_HEADERS = re.compile(r"intrin\.h|math\.h|string\.h")
TABLE_HEADERS = re.compile(r"cstddef|cstdint|immintrin\.h|arm_neon\.h|simde/x86/\w+\.h")
# Written by CMake into the build folder.
GENERATED = {"isa_list.h"}

CPP_SOURCES = sorted(path for path in CSRC.rglob("*") if path.suffix in {".h", ".cpp", ".cuh", ".cu"})
INCLUDE = re.compile(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]', re.MULTILINE)


def without_comments(text: str) -> str:
    return re.sub(r"//[^\n]*|/\*.*?\*/", "", text, flags=re.DOTALL)


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_cpp_sources_are_found() -> None:
    assert {path.relative_to(CSRC).parts[0] for path in CPP_SOURCES} >= set(CPP_FLOORS)


@pytest.mark.parametrize("path", CPP_SOURCES, ids=name_of)
def test_cpp_source_includes_only_lower_floors(path: Path) -> None:
    floor = path.relative_to(CSRC).parts[0]
    is_table = floor == "kernels" and path.suffix == ".cpp"
    for kind, header in INCLUDE.findall(without_comments(path.read_text())):
        if kind == "<":
            allowed = TABLE_HEADERS if is_table else SYSTEM_HEADERS[floor]
            if path == CSRC / "base" / "compiler.h":
                allowed = COMPILER_HEADERS
            assert allowed.fullmatch(header), f"{floor} may not include <{header}>"
        elif header in GENERATED:
            assert floor == "runtime", f"{floor} may not include {header}"
        else:
            assert (CSRC / header).is_file(), f"{header} is not a path below csrc"
            assert header.split("/")[0] in CPP_FLOORS[floor], f"{floor} may not include {header}"


@pytest.mark.parametrize("path", CPP_SOURCES, ids=name_of)
def test_cpp_source_names_openmp_only_in_runtime(path: Path) -> None:
    if path.relative_to(CSRC).parts[0] != "runtime":
        assert not re.search(r"#\s*pragma\s+omp|\bomp\.h\b|_OPENMP\b", without_comments(path.read_text()))


@pytest.mark.parametrize("path", [path for path in CPP_SOURCES if path.suffix == ".h"], ids=name_of)
def test_cpp_header_is_included_once(path: Path) -> None:
    assert "#pragma once" in path.read_text()


# ---- Python ------------------------------------------------------------------------------------------

# module or folder: those of the package it may import beside itself. The order is the order of the floors.
FOUNDATION = {"backend", "arguments", "lookup"}
TENSORS = FOUNDATION | {"variables", "autograd"}
OPS = TENSORS | {"arrays", "packed", "ops"}
PARTS = {
    "initializers",
    "regularizers",
    "constraints",
    "activations",
    "layers",
    "losses",
    "metrics",
    "optimizers",
}
DATA = {"data", "utils", "preprocessing", "datasets"}
PYTHON_FLOORS = {
    "arguments": set(),
    "lookup": {"arguments"},
    "backend": {"arguments"},
    "variables": TENSORS,  # the two know each other
    "autograd": TENSORS,
    "arrays": TENSORS,
    "packed": TENSORS,
    "ops": OPS,
    **{name: OPS | PARTS | {"utils"} for name in PARTS},
    "models": OPS | PARTS | {"data", "utils", "models"},
    "memory": OPS | PARTS | {"models", "memory"},
    "callbacks": OPS | PARTS | {"data", "utils", "models", "callbacks"},
    "saving": OPS | PARTS | {"utils", "models", "saving"},
    "data": FOUNDATION | DATA,
    "utils": FOUNDATION | DATA | {"variables", "initializers"},
    "preprocessing": FOUNDATION | DATA,
    "datasets": FOUNDATION | DATA,
}
# The package itself (__init__) and the examples stand on everything.
TOP = {"__init__", "examples"}
# Only these may call the compiled modules.
CORE_CALLERS = {"ops", "optimizers", "backend", "memory", "__init__"}
RAGGED_CALLERS = {"data"}

PYTHON_SOURCES = sorted(path for path in PACKAGE.rglob("*") if path.suffix in {".py", ".pyx"})
CYTHON_IMPORT = re.compile(r"^ *(from [\w.]+ c?import .*|c?import .*)", re.MULTILINE)


def unit_of(path: Path) -> str:
    """The module or folder directly below the package that a source belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def parsed(path: Path) -> ast.Module:
    """A source; of a Cython source what it imports."""
    text = path.read_text()
    if path.suffix == ".pyx":
        text = "\n".join(CYTHON_IMPORT.findall(text)).replace("cimport ", "import ")
    return ast.parse(text)


def executed_nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """Every node but the blocks under ``if TYPE_CHECKING``, which never run."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for other in node.orelse:
                yield from executed_nodes(other)
            continue
        yield node
        yield from executed_nodes(node)


def imported_modules(path: Path) -> list[str]:
    """Full dotted names that a source imports, also inside functions."""
    package = ("timeloom", *path.relative_to(PACKAGE).parts[:-1])
    names = []
    for node in executed_nodes(parsed(path)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join((*base, *([node.module] if node.module else [])))
            names += [f"{module}.{alias.name}" for alias in node.names]
    return names


@pytest.mark.parametrize("path", PYTHON_SOURCES, ids=name_of)
def test_python_source_imports_only_lower_floors(path: Path) -> None:
    unit = unit_of(path)
    for name in imported_modules(path):
        parts = name.split(".")
        if parts[0] != "timeloom" or len(parts) == 1:
            continue
        target = parts[1]
        if target == "_core":
            assert unit in CORE_CALLERS, f"{unit} may not call timeloom._core"
        elif parts[1:3] == ["data", "_ragged"]:
            assert unit in RAGGED_CALLERS, f"{unit} may not call timeloom.data._ragged"
        elif unit not in TOP and target != unit:
            assert target in PYTHON_FLOORS[unit], f"{unit} may not import timeloom.{target}"


@pytest.mark.parametrize("path", PYTHON_SOURCES, ids=name_of)
def test_python_source_needs_only_numpy_when_imported(path: Path) -> None:
    """Other packages are imported inside the function that needs them, or in a module named after them."""
    allowed = set(sys.stdlib_module_names) | {"numpy", "timeloom"}
    if path.parent.name == "examples" and path.stem.endswith("_pytorch"):
        allowed |= {"torch"}
    if path.suffix == ".pyx":
        allowed |= {"cpython", "libc"}  # Cython's own declarations
    for node in parsed(path).body:
        if isinstance(node, ast.Import):
            for alias in node.names:
                assert alias.name.split(".")[0] in allowed, f"{alias.name} is imported at module level"
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            assert (node.module or "").split(".")[0] in allowed, f"{node.module} is imported at module level"


# ---- both --------------------------------------------------------------------------------------------


def test_top_level_holds_only_its_entries() -> None:
    expected = {"pyproject.toml", "CMakeLists.txt", "csrc", "python", "tests", "bench"}
    papers = {"README.md", "LICENSE", "CHANGELOG.md", "CONTRIBUTING.md"}
    built = {"build", "dist", "wheelhouse", "venv"}  # git ignores them, and the pictures of the examples
    found = {path.name for path in ROOT.iterdir() if not path.name.startswith(".") and path.suffix != ".png"}
    assert found - built <= expected | papers


@pytest.mark.parametrize(
    "path",
    [
        path
        for folder in ("csrc", "python", "tests", "bench")
        for path in sorted((ROOT / folder).rglob("*"))
        if path.suffix in {".py", ".pyx", ".h", ".cpp", ".cu", ".cuh"}
    ],
    ids=name_of,
)
def test_source_has_at_most_400_lines(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 400
