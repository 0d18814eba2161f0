"""The choice of the kernel table: the best by default, TIMELOOM_ISA or the argument _isa by force."""

import os
import subprocess
import sys

import pytest

import timeloom
from timeloom import _core

PRINT_ACTIVE = "from timeloom import _core; print(_core.active_isa())"


def run_with(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if name != "TIMELOOM_ISA"}
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**clean, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_supported_tables_start_with_scalar_and_are_compiled() -> None:
    assert _core.supported_isas()[0] == "scalar"
    assert set(_core.supported_isas()) <= set(_core.build_info()["isas"])


def test_best_supported_table_is_active_by_default() -> None:
    assert run_with(PRINT_ACTIVE).stdout.strip() == _core.supported_isas()[-1]


def test_empty_variable_counts_as_unset() -> None:
    assert run_with(PRINT_ACTIVE, TIMELOOM_ISA="").stdout.strip() == _core.supported_isas()[-1]


@pytest.mark.parametrize("isa", _core.supported_isas())
def test_forced_table_is_active(isa: str) -> None:
    run = run_with(PRINT_ACTIVE, TIMELOOM_ISA=isa)
    assert run.stdout.strip() == isa, run.stderr


def test_unknown_table_is_an_error_at_first_use() -> None:
    assert run_with("import timeloom", TIMELOOM_ISA="avx3").returncode == 0
    run = run_with(PRINT_ACTIVE, TIMELOOM_ISA="avx3")
    assert run.returncode == 1
    assert "ValueError: TIMELOOM_ISA: expected one of 'scalar'" in run.stderr
    assert "got 'avx3'" in run.stderr


def test_table_that_the_cpu_cannot_run_is_an_error() -> None:
    for isa in set(_core.build_info()["isas"]) - set(_core.supported_isas()):
        run = run_with(PRINT_ACTIVE, TIMELOOM_ISA=isa)
        assert run.returncode == 1
        assert f"got '{isa}', which this CPU cannot run" in run.stderr


def test_error_is_raised_again_at_the_next_use() -> None:
    code = """
from timeloom import _core
for attempt in range(2):
    try:
        _core.active_isa()
    except ValueError as error:
        print(error)
"""
    assert len(run_with(code, TIMELOOM_ISA="avx3").stdout.splitlines()) == 2


def test_show_config_prints_what_is_active(capsys: pytest.CaptureFixture[str]) -> None:
    timeloom.show_config()
    printed = capsys.readouterr().out
    assert timeloom.__version__ in printed
    assert f"ISA       {_core.active_isa()} (available: {', '.join(_core.supported_isas())})" in printed
    openmp = next(line for line in printed.splitlines() if line.startswith("OpenMP"))
    assert openmp.split()[1].rstrip(":") == ("yes" if _core.build_info()["openmp"] else "no")
