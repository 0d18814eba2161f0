"""What a report has to say of the machine and of everybody's versions.

Belongs here: facts.
Does not belong here: measurements.
"""

import hashlib
import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("numpy", "torch", "jax", "jaxlib", "onnxruntime", "openvino", "keras", "tensorflow")
SETTINGS = (
    "TIMELOOM_ISA",
    "ONEDNN_MAX_CPU_ISA",
    "ATEN_CPU_CAPABILITY",
    "OPENBLAS_CORETYPE",
    "OMP_NUM_THREADS",
    "XLA_FLAGS",
)


def processor() -> str:
    """The name of the CPU."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def versions() -> dict[str, str]:
    """Of every package that takes part and is installed."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def commit() -> str:
    """The commit of the checkout, with a plus if tracked files differ from it; "unknown" outside of one."""

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no")
        return git("rev-parse", "--short=10", "HEAD") + ("+" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def build() -> str:
    """A name for the compiled kernels and what they are told: rows of another build are measured again."""
    from timeloom import _core

    settings = [f"{name}={os.environ[name]}" for name in SETTINGS if name in os.environ]
    content = Path(_core.__file__).read_bytes() + " ".join(settings).encode()
    return hashlib.sha256(content).hexdigest()[:10]


def facts() -> dict[str, Any]:
    """All of it."""
    from timeloom import _core, backend

    return {
        "cpu": processor(),
        "cpus": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "timeloom": _core.__version__,
        "commit": commit(),
        "build": build(),
        "compiler": _core.build_info()["compiler"],
        "isa": _core.active_isa(),
        "threads": backend.get_num_threads(),
        "settings": {name: os.environ[name] for name in SETTINGS if name in os.environ},
        "versions": versions(),
    }
