"""What only one compiler or processor family understands stands in csrc/base/compiler.h and nowhere else."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
GATHERED = ROOT / "csrc" / "base" / "compiler.h"
SOURCES = sorted(
    path
    for folder in ("csrc", "tests")
    for path in (ROOT / folder).rglob("*")
    if path.suffix in {".h", ".cpp"} and path != GATHERED
)

OF_ONE_COMPILER = {
    "attribute": r"__attribute__|__declspec|\[\[\s*(?:gnu|clang|msvc)::",
    "builtin": r"\b__builtin_\w+",
    "pragma": r"\b_Pragma\b|\b__pragma\b|#\s*pragma\s+(?!once\b|omp\b)",
    "assembly": r"\b(?:__asm__|__asm|asm)\b",
    "compiler": r"\b(?:__GNUC__|__clang__|_MSC_VER|__INTEL_COMPILER|__MINGW\w*)\b",
    "processor": r"\b(?:__x86_64__|__i386__|__aarch64__|__arm__|__ARM_NEON\w*|_M_X64|_M_ARM64|__AVX\w+)\b",
    "keyword": r"\b(?:__forceinline|__inline\w*|__restrict\w*|__extension__|__typeof\w*|typeof|__int128)\b",
    "statement expression": r"(?:^|[=(,?:]|\breturn)\s*\(\{",
    "header": r"#\s*include\s*<(?:cpuid|intrin|x86intrin|unistd|sched|alloca|features|sys/\w+)\.h>",
    "type of POSIX": r"\bssize_t\b",
}
POSIX = re.compile(r"#\s*include\s*<pthread\.h>")
POSIX_GUARD = re.compile(r"#ifndef _WIN32\n#include <pthread\.h>\n#endif")


def code_of(path: Path) -> str:
    return re.sub(r"//[^\n]*|/\*.*?\*/", "", path.read_text(), flags=re.DOTALL)


def constructs_in(code: str) -> list[str]:
    """Return what a source holds that not every compiler takes, one line each."""
    return [
        f"{kind}: {match.group().strip()}"
        for kind, pattern in OF_ONE_COMPILER.items()
        for match in re.finditer(pattern, code, re.MULTILINE)
    ]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_source_holds_no_construct_of_one_compiler(path: Path) -> None:
    assert constructs_in(code_of(path)) == []


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_posix_threads_are_left_out_on_windows(path: Path) -> None:
    code = code_of(path)
    assert len(POSIX.findall(code)) == len(POSIX_GUARD.findall(code))


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("inline __attribute__((always_inline)) int f();", "attribute"),
        ("[[gnu::hot]] int f();", "attribute"),
        ("return __builtin_expect(x, 1);", "builtin"),
        ("#pragma GCC unroll 4\n", "pragma"),
        ("#  pragma  clang loop unroll(full)\n", "pragma"),
        ('_Pragma("GCC unroll 4")', "pragma"),
        ('asm volatile("yield");', "assembly"),
        ("#if defined(__GNUC__)\n#endif", "compiler"),
        ("#ifdef __aarch64__\n#endif", "processor"),
        ("float* __restrict p;", "keyword"),
        ("int x = ({ int y = 1; y; });", "statement expression"),
        ("return ({ 1; });", "statement expression"),
        ("#include <cpuid.h>\n", "header"),
        ("#include <sys/mman.h>\n", "header"),
        ("ssize_t count;", "type of POSIX"),
    ],
)
def test_construct_of_one_compiler_is_found(code: str, kind: str) -> None:
    assert any(found.startswith(kind) for found in constructs_in(code))


@pytest.mark.parametrize(
    "code",
    ["#pragma once\n", "#pragma omp parallel\n", "blocks.push_back({data, bytes});", "f({1, 2});"],
)
def test_standard_code_is_accepted(code: str) -> None:
    assert constructs_in(code) == []


def test_the_gathering_header_holds_macros_alone() -> None:
    """It is included inside the namespaces of the ISAs: a declaration would land there."""
    lines = code_of(GATHERED).replace("\\\n", " ").splitlines()
    assert [line for line in lines if line.strip() and not line.lstrip().startswith("#")] == []
