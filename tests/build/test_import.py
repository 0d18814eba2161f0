"""What `import timeloom` loads, and what the installed package holds."""

import importlib.metadata
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import timeloom
from timeloom import _core

LOADED_BY_IMPORT = """
import json, sys
import numpy
before = set(sys.modules)
import timeloom
print(json.dumps(sorted({name.split(".")[0] for name in set(sys.modules) - before})))
"""


def test_import_loads_only_numpy() -> None:
    run = subprocess.run([sys.executable, "-c", LOADED_BY_IMPORT], capture_output=True, text=True, check=True)
    loaded = set(json.loads(run.stdout)) - set(sys.stdlib_module_names) - {"numpy", "timeloom"}
    # Every Cython module, those of NumPy included, registers its runtime under names of this form.
    assert {name for name in loaded if not re.fullmatch(r"cython_runtime|_cython_[\d_]+", name)} == set()


def test_version_is_that_of_the_compiled_module() -> None:
    assert timeloom.__version__ == _core.build_info()["version"]


def test_package_is_marked_as_typed() -> None:
    folder = Path(timeloom.__file__).parent
    assert (folder / "py.typed").is_file()
    assert (folder / "_core.pyi").is_file()


def test_installed_files_are_the_package_and_nothing_else() -> None:
    try:
        files = importlib.metadata.files("timeloom")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("timeloom runs from its source tree, not installed")
    assert files is not None
    names = {str(file) for file in files}
    assert {name.split("/")[0] for name in names if not name.startswith("..")} <= {
        "timeloom",
        f"timeloom-{timeloom.__version__}.dist-info",
    }
    assert not [name for name in names if name.endswith((".pyx", ".pxd", ".cpp", ".h", ".cxx"))]
    for module in (
        "_core",
        "autograd/gradients",
        "autograd/recording",
        "data/_ragged",
        "ops/recurrent_call",
        "ops/weights",
    ):
        assert sum(name.startswith(f"timeloom/{module}.") and name.endswith(".so") for name in names) == 1
