"""Settings that hold for the whole process: default dtype, epsilon, threads, random numbers, names.

Here belong numbers and switches that several modules ask for, and the report of what is active.
Nothing here computes on arrays.
"""

import re

import numpy as np

from timeloom import _core

__all__ = [
    "auto_name",
    "clear_session",
    "epsilon",
    "floatx",
    "get_num_threads",
    "get_uid",
    "next_seed",
    "random_generator",
    "seed_random_generator",
    "set_epsilon",
    "set_floatx",
    "set_num_threads",
    "show_config",
    "snake_case",
]

_FLOAT_TYPES = ("float32", "float64")

_floatx = "float32"
_epsilon = 1e-7
_generator = np.random.default_rng()
_uids: dict[str, int] = {}


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
        threads: Positive integer up to 1024, or 0 for the default: OMP_NUM_THREADS if it is set, else the
            CPUs this process may run on.

    Raises:
        ValueError: If threads is negative or too large.
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


def random_generator() -> np.random.Generator:
    """Returns the generator that shuffles data and gives a seed to everything created without one.

    Returns:
        The process-wide ``numpy.random.Generator``; drawing from it moves it on.
    """
    return _generator


def seed_random_generator(seed: int) -> None:
    """Starts the process-wide generator afresh; ``timeloom.utils.set_random_seed`` calls it.

    Args:
        seed: Non-negative integer.
    """
    global _generator
    _generator = np.random.default_rng(seed)


def next_seed() -> int:
    """Draws a seed from the process-wide generator, for an object that was given none.

    Returns:
        An integer in [0, 2**31 - 1).
    """
    return int(_generator.integers(2**31 - 1))


def get_uid(prefix: str = "") -> int:
    """Counts how often a prefix was asked for.

    Args:
        prefix: Any string. Default ``""``.

    Returns:
        1 at the first call with this prefix, 2 at the second, and so on until ``clear_session``.
    """
    _uids[prefix] = _uids.get(prefix, 0) + 1
    return _uids[prefix]


def snake_case(class_name: str) -> str:
    """Writes a class name as Keras writes automatic names.

    Example:
        >>> snake_case("SimpleRNN"), snake_case("TimeDistributed")
        ('simple_rnn', 'time_distributed')
    """
    words = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", class_name))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", words).lower()


def auto_name(class_name: str) -> str:
    """Gives an object that was created without a name its own, as Keras does.

    Args:
        class_name: Name of its class, for example ``"SimpleRNN"``.

    Returns:
        The class name in snake case, from the second object on with a number: ``"simple_rnn"``,
        ``"simple_rnn_1"``, ...
    """
    name = snake_case(class_name)
    count = get_uid(name)
    return name if count == 1 else f"{name}_{count - 1}"


def clear_session() -> None:
    """Lets automatic names count from the start again and returns memory that no call uses to the system.

    Kernels take their workspace from a pool, up to 256 MB of which stays idle between calls; afterwards the
    next call takes it anew. Existing objects stay as they are.

    Example:
        >>> import timeloom
        >>> timeloom.backend.clear_session()
    """
    _uids.clear()
    _core.free_workspaces()
