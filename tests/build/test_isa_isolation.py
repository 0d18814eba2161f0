"""csrc/kernels/check_isolation.py, which the build runs on every ISA object, finds what it is there for."""

import importlib.util
import os
import shutil
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

CHECKER = Path(__file__).resolve().parents[2] / "csrc" / "kernels" / "check_isolation.py"
COMPILER = os.environ.get("CXX") or shutil.which("c++") or "g++"

CLEAN = """
namespace timeloom { namespace avx2 {
template <class T> struct Twice { static T of(T x) { return x + x; } };
inline float four_times(float x) { return Twice<float>::of(Twice<float>::of(x)); }
float (*volatile kept)(float);
void keep() { kept = &four_times; }
static constexpr float table[] = {1.0f, 2.0f};
const float* constants() { return table; }
}}
"""
SHARED_INLINE = """
inline float twice(float x) { return x + x; }
namespace timeloom { namespace avx2 {
float (*volatile kept)(float);
void keep() { kept = &twice; }
}}
"""
STANDARD_TEMPLATE = """
#include <algorithm>
namespace timeloom { namespace avx2 {
const float& (*volatile kept)(const float&, const float&);
void keep() { kept = &std::max<float>; }
}}
"""
OTHER_ISA = CLEAN.replace("avx2", "avx512")
UNIQUE_STATIC = """
namespace timeloom {
template <class T> struct Holder { static T value; };
template <class T> T Holder<T>::value = T(1);
namespace avx2 { float* address() { return &Holder<float>::value; } }
}
"""
DYNAMIC_INITIALISER = """
namespace timeloom { namespace avx2 {
float seed();
static float first = seed();
float value() { return first; }
}}
"""


@pytest.fixture(scope="module")
def checker() -> ModuleType:
    spec = importlib.util.spec_from_file_location("check_isolation", CHECKER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def compiled(tmp_path: Path, source: str, optimisation: str) -> str:
    source_path, object_path = tmp_path / "source.cpp", tmp_path / "source.o"
    source_path.write_text(source)
    command = [COMPILER, "-std=c++17", optimisation, "-fPIC", "-c", str(source_path), "-o", str(object_path)]
    subprocess.run(command, check=True)
    return str(object_path)


@pytest.mark.parametrize("optimisation", ["-O0", "-O2"])
def test_checker_accepts_weak_symbols_inside_the_namespace(
    checker: ModuleType, tmp_path: Path, optimisation: str
) -> None:
    assert checker.faults_of(compiled(tmp_path, CLEAN, optimisation), "avx2") == []


@pytest.mark.parametrize("optimisation", ["-O0", "-O2"])
@pytest.mark.parametrize(
    ("source", "fault"),
    [
        (SHARED_INLINE, "_Z5twicef"),
        (STANDARD_TEMPLATE, "_ZSt3maxIfE"),
        (OTHER_ISA, "6avx512"),
        (UNIQUE_STATIC, "Holder"),
        (DYNAMIC_INITIALISER, ".init_array"),
    ],
)
def test_checker_finds_what_leaks_into_another_isa(
    checker: ModuleType, tmp_path: Path, optimisation: str, source: str, fault: str
) -> None:
    faults = checker.faults_of(compiled(tmp_path, source, optimisation), "avx2")
    assert any(fault in line for line in faults), faults
