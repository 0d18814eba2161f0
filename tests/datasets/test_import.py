import subprocess
import sys

import pytest

import timeloom

LAZY = """
import sys, timeloom
assert "timeloom.datasets" not in sys.modules and "urllib.request" not in sys.modules
print(timeloom.datasets.mnist.load_data.__name__)
"""


def test_datasets_are_imported_when_named():
    run = subprocess.run([sys.executable, "-c", LAZY], capture_output=True, text=True, check=True)
    assert run.stdout == "load_data\n"
    assert "datasets" in timeloom.__all__


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'timeloom' has no attribute 'dataset'"):
        timeloom.dataset  # noqa: B018
