"""Settings that hold for the whole process: default dtype, epsilon, threads.

Here belong numbers and switches that several modules ask for, and the report of what is active.
Nothing here computes on arrays.
"""

from timeloom import _core

__all__ = [
    "epsilon",
    "floatx",
    "get_num_threads",
    "set_epsilon",
    "set_floatx",
    "set_num_threads",
    "show_config",
]

_FLOAT_TYPES = ("float32", "float64")

_floatx = "float32"
_epsilon = 1e-7


def floatx() -> str:
    """Returns the dtype that layers and variables take when none is given.

    Returns:
        ``"float32"`` or ``"float64"``. Default ``"float32"``.

    Example:
        >>> import timeloom
        >>> timeloom.backend.floatx()
        'float32'
    """
    return _floatx


def set_floatx(value: str) -> None:
    """Sets the dtype that layers and variables take when none is given.

    Objects that exist already keep theirs.

    Args:
        value: ``"float32"`` or ``"float64"``.

    Raises:
        ValueError: If value is anything else.

    Example:
        >>> import timeloom
        >>> timeloom.backend.set_floatx("float64")
        >>> timeloom.backend.floatx()
        'float64'
        >>> timeloom.backend.set_floatx("float32")
    """
    global _floatx
    if value not in _FLOAT_TYPES:
        raise ValueError(f"value: expected one of {', '.join(map(repr, _FLOAT_TYPES))}, got {value!r}")
    _floatx = value


def epsilon() -> float:
    """Returns the small number that keeps logarithms and divisions finite.

    Returns:
        A positive float. Default 1e-7.

    Example:
        >>> import timeloom
        >>> timeloom.backend.epsilon()
        1e-07
    """
    return _epsilon


def set_epsilon(value: float) -> None:
    """Sets the small number that keeps logarithms and divisions finite.

    Args:
        value: A positive finite number.

    Raises:
        ValueError: If value is not positive and finite.
        TypeError: If value is not a number.
    """
    global _epsilon
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"value: expected a number, got {value!r}")
    if not 0 < value < float("inf"):
        raise ValueError(f"value: expected a positive finite number, got {value!r}")
    _epsilon = float(value)


def set_num_threads(threads: int) -> None:
    """Sets how many threads a kernel may use at most.

    Results do not depend on it, only speed. Small problems use fewer.

    Args:
        threads: Positive integer, or 0 for the default: OMP_NUM_THREADS if it is set, else the CPUs this
            process may run on.

    Raises:
        ValueError: If threads is negative.
        TypeError: If threads is not an integer.
    """
    if isinstance(threads, bool) or not isinstance(threads, int):
        raise TypeError(f"threads: expected a positive integer, got {threads!r}")
    _core.set_num_threads(threads)


def get_num_threads() -> int:
    """Returns how many threads a kernel may use at most.

    Returns:
        A positive integer; 1 in a build without OpenMP.
    """
    return int(_core.get_num_threads())


def show_config() -> None:
    """Prints what this installation is and which kernels it uses: worth pasting into a bug report.

    Example:
        >>> import timeloom
        >>> timeloom.show_config()
        timeloom ...
        compiler  ...
        OpenMP    ...
        ISA       ... (available: scalar...)
        threads   ...
    """
    build = _core.build_info()
    openmp = "yes" if build["openmp"] else "no: built without it, every kernel runs on one thread"
    print(f"timeloom {build['version']}")
    print(f"compiler  {build['compiler']}")
    print(f"OpenMP    {openmp}")
    print(f"ISA       {_core.active_isa()} (available: {', '.join(_core.supported_isas())})")
    print(f"threads   {get_num_threads()}")
