"""Golden files: numbers that PyTorch and Keras computed once, so that no convention can drift.

Belongs here: small .npz files in float64, write_golden.py that made them, and the tests that read them.
Does not belong here: anything that imports PyTorch or Keras when the tests run.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

FOLDER = Path(__file__).parent


def load(stem: str) -> dict[str, dict[str, Any]]:
    """Read a golden file: case name -> its arrays by name, with `options` as a dictionary."""
    cases: dict[str, dict[str, Any]] = {}
    with np.load(FOLDER / f"{stem}.npz") as file:
        for key in file.files:
            case, name = key.split(".")
            value = file[key]
            cases.setdefault(case, {})[name] = json.loads(str(value)) if name == "options" else value
    return cases
