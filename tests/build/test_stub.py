"""_core.pyi is what the pinned pybind11-stubgen makes of the compiled module."""

import importlib.metadata
import re
import subprocess
import sys
from pathlib import Path

import timeloom

ROOT = Path(__file__).resolve().parents[2]
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
