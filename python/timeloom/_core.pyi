"""
Compiled kernels of timeloom. Private: use the Python modules above it.
"""
from __future__ import annotations
import typing
__all__: list[str] = ['active_isa', 'build_info', 'get_num_threads', 'last_thread_count', 'set_num_threads', 'supported_isas']
def active_isa() -> str:
    """
    Name of the kernel table in use; ValueError if TIMELOOM_ISA is bad.
    """
def build_info() -> dict:
    """
    Facts fixed when this module was compiled: version, compiler, openmp, isas.
    """
def get_num_threads() -> int:
    """
    How many threads a kernel may use at most.
    """
def last_thread_count() -> int:
    """
    How many threads the last kernel called from this Python thread really ran on.
    """
def set_num_threads(threads: typing.SupportsInt | typing.SupportsIndex) -> None:
    """
    Sets how many threads a kernel may use at most; 0 returns to the default.
    """
def supported_isas() -> list[str]:
    """
    Names of the kernel tables this CPU can run, best last.
    """
__version__: str = '0.1.0'
