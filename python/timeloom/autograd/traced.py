"""TracedArray: the array that a recording tape computes with, and the operators it shares with Variable."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NoReturn

import numpy as np

from timeloom.autograd import reductions, selection, shapes
from timeloom.autograd.functions import call_function
from timeloom.autograd.recording import Array, Operand, TracedOperand, refusal
from timeloom.autograd.ufuncs import OTHERS, RULES, astype, binary, call_ufunc, unary

_ADD, _SUBTRACT, _MULTIPLY, _DIVIDE = RULES[np.add], RULES[np.subtract], RULES[np.multiply], RULES[np.divide]
_POWER, _SQUARE, _NEGATIVE, _ABSOLUTE = (
    RULES[np.power],
    RULES[np.square],
    RULES[np.negative],
    RULES[np.absolute],
)


class ArrayOperators(Operand):
    """Everything an array can do that has a derivative, and a refusal of everything that would cut one."""

    __slots__ = ()

    # Arithmetic.
    def __add__(self, other: Any) -> Any:
        return binary(_ADD, self, other)

    def __radd__(self, other: Any) -> Any:
        return binary(_ADD, other, self)

    def __sub__(self, other: Any) -> Any:
        return binary(_SUBTRACT, self, other)

    def __rsub__(self, other: Any) -> Any:
        return binary(_SUBTRACT, other, self)

    def __mul__(self, other: Any) -> Any:
        return binary(_MULTIPLY, self, other)

    def __rmul__(self, other: Any) -> Any:
        return binary(_MULTIPLY, other, self)

    def __truediv__(self, other: Any) -> Any:
        return binary(_DIVIDE, self, other)

    def __rtruediv__(self, other: Any) -> Any:
        return binary(_DIVIDE, other, self)

    def __pow__(self, other: Any) -> Any:
        if type(other) is int and other == 2:
            return unary(_SQUARE, self)
        return binary(_POWER, self, other)

    def __rpow__(self, other: Any) -> Any:
        return binary(_POWER, other, self)

    def __matmul__(self, other: Any) -> Any:
        return OTHERS[np.matmul](self, other)

    def __rmatmul__(self, other: Any) -> Any:
        return OTHERS[np.matmul](other, self)

    def __neg__(self) -> Any:
        return unary(_NEGATIVE, self)

    def __pos__(self) -> Any:
        return unary(RULES[np.positive], self)

    def __abs__(self) -> Any:
        return unary(_ABSOLUTE, self)

    # No derivative: these raise while a tape records.
    def __floordiv__(self, other: Any) -> Any:
        return np.floor_divide(self, other)

    def __rfloordiv__(self, other: Any) -> Any:
        return np.floor_divide(other, self)

    def __mod__(self, other: Any) -> Any:
        return np.remainder(self, other)

    def __rmod__(self, other: Any) -> Any:
        return np.remainder(other, self)

    def __divmod__(self, other: Any) -> Any:
        return np.divmod(self, other)

    def __rdivmod__(self, other: Any) -> Any:
        return np.divmod(other, self)

    # Comparisons give plain arrays.
    def __eq__(self, other: object) -> Any:
        return np.equal(self, other)  # type: ignore[call-overload]

    def __ne__(self, other: object) -> Any:
        return np.not_equal(self, other)  # type: ignore[call-overload]

    def __lt__(self, other: Any) -> Any:
        return np.less(self, other)

    def __le__(self, other: Any) -> Any:
        return np.less_equal(self, other)

    def __gt__(self, other: Any) -> Any:
        return np.greater(self, other)

    def __ge__(self, other: Any) -> Any:
        return np.greater_equal(self, other)

    __hash__: Any = None

    # NumPy's protocols.
    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        return call_ufunc(ufunc, method, inputs, kwargs)

    def __array_function__(
        self, function: Any, types: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        return call_function(function, args, kwargs)

    # Shape and parts.
    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array."""
        shape: tuple[int, ...] = self._value.shape
        return shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Data type of the elements."""
        return self._value.dtype

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return self._value.ndim

    @property
    def size(self) -> int:
        """Number of elements."""
        return self._value.size

    @property
    def nbytes(self) -> int:
        """Bytes of the elements."""
        return self._value.nbytes

    @property
    def T(self) -> Any:
        """The array with its axes reversed."""
        return shapes.transpose(self)

    def __len__(self) -> int:
        return len(self._value)

    def __getitem__(self, index: Any) -> Any:
        return selection.take_index(self, index)

    def __iter__(self) -> Iterator[Any]:
        if self.ndim == 0:
            raise TypeError("iteration over a 0-d array")
        return (self[i] for i in range(len(self)))

    def reshape(self, *shape: Any) -> Any:
        """As ``numpy.reshape``."""
        return shapes.reshape(self, shape[0] if len(shape) == 1 else shape)

    def transpose(self, *axes: Any) -> Any:
        """As ``numpy.transpose``."""
        return shapes.transpose(self, axes[0] if len(axes) == 1 else axes or None)

    def swapaxes(self, axis1: int, axis2: int) -> Any:
        """As ``numpy.swapaxes``."""
        return shapes.swapaxes(self, axis1, axis2)

    def squeeze(self, axis: Any = None) -> Any:
        """As ``numpy.squeeze``."""
        return shapes.squeeze(self, axis)

    def ravel(self) -> Any:
        """One axis with every element."""
        return shapes.reshape(self, -1)

    def flatten(self) -> Any:
        """One axis with every element."""
        return shapes.reshape(self, -1)

    def astype(self, dtype: Any) -> Any:
        """Cast; integers and booleans come back as plain arrays."""
        return astype(self, dtype)

    # Reductions.
    def sum(self, axis: Any = None, *, keepdims: bool = False) -> Any:
        """As ``numpy.sum``."""
        return reductions.sum(self, axis, keepdims=keepdims)

    def mean(self, axis: Any = None, *, keepdims: bool = False) -> Any:
        """As ``numpy.mean``."""
        return reductions.mean(self, axis, keepdims=keepdims)

    def max(self, axis: Any = None, *, keepdims: bool = False) -> Any:
        """As ``numpy.max``."""
        return reductions.max(self, axis, keepdims=keepdims)

    def min(self, axis: Any = None, *, keepdims: bool = False) -> Any:
        """As ``numpy.min``."""
        return reductions.min(self, axis, keepdims=keepdims)

    def prod(self, axis: Any = None, *, keepdims: bool = False) -> Any:
        """As ``numpy.prod``."""
        return reductions.prod(self, axis, keepdims=keepdims)

    def var(self, axis: Any = None, *, ddof: int = 0, keepdims: bool = False) -> Any:
        """As ``numpy.var``."""
        return reductions.var(self, axis, ddof=ddof, keepdims=keepdims)

    def std(self, axis: Any = None, *, ddof: int = 0, keepdims: bool = False) -> Any:
        """As ``numpy.std``."""
        return reductions.std(self, axis, ddof=ddof, keepdims=keepdims)

    def cumsum(self, axis: int | None = None) -> Any:
        """As ``numpy.cumsum``."""
        return reductions.cumsum(self, axis)

    def dot(self, other: Any) -> Any:
        """As ``numpy.dot``."""
        return reductions.dot(self, other)

    def clip(self, min: Any = None, max: Any = None) -> Any:
        """As ``numpy.clip``."""
        return selection.clip(self, min, max)

    # Exits. ``.numpy()`` is the explicit one; the others convert freely once no tape records.
    def numpy(self) -> Array:
        """The values as a plain array, a copy that carries no gradient."""
        return self._value.copy()

    def _leave(self, what: str) -> Array:
        if self._is_recorded():
            raise refusal(what)
        return self._value

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        plain = self._leave("conversion to a plain array (np.stack joins a list of traced arrays)")
        if copy is False:
            view = plain.view()
            view.flags.writeable = False
            return view if dtype is None else np.asarray(view, dtype=dtype, copy=False)
        return np.array(plain, dtype=dtype)

    def __float__(self) -> float:
        return float(self._leave("float()"))

    def __int__(self) -> int:
        return int(self._leave("int()"))

    def __complex__(self) -> complex:
        return complex(self._leave("complex()"))

    def __bool__(self) -> bool:
        return bool(self._leave("bool()"))

    def __index__(self) -> int:
        return self._leave("use as an index").__index__()

    def __round__(self, ndigits: int = 0) -> Any:
        return self._leave("round()").round(ndigits)

    def item(self, *index: Any) -> Any:
        """One element as a Python number."""
        return self._leave("item()").item(*index)

    def tolist(self) -> Any:
        """The elements as nested lists of Python numbers."""
        return self._leave("tolist()").tolist()

    def copy(self) -> Array:
        """A plain copy, once no tape records."""
        return self._leave("copy()").copy()

    def __buffer__(self, flags: int) -> memoryview:
        return memoryview(self._leave("a buffer").copy())  # type: ignore[arg-type]

    def __dlpack__(self, **kwargs: Any) -> Any:
        return self._leave("__dlpack__").copy().__dlpack__(**kwargs)

    def __dlpack_device__(self) -> Any:
        return self._value.__dlpack_device__()

    def __format__(self, spec: str) -> str:
        return format(self._value, spec)


class TracedArray(ArrayOperators, TracedOperand):
    """An array computed while a GradientTape records.

    It computes as an ndarray does: operators, indexing, the methods below and the NumPy functions that have a
    derivative. It is not an ndarray, so nothing takes its values without its knowledge: what would cut the
    gradient raises TypeError and names the exit, ``.numpy()``, which returns a plain copy. Comparisons and
    other results of boolean or integer dtype are plain arrays. After the ``with`` block it converts freely.

    Traced arrays come from operations on trainable Variables and from ``GradientTape.watch``; they are not
    constructed by hand and their elements cannot be assigned.

    Example:
        >>> import numpy as np
        >>> import timeloom
        >>> with timeloom.GradientTape() as tape:
        ...     w = tape.watch(np.array([1.0, 2.0]))
        ...     loss = np.sum(w * w)
        >>> float(loss)
        5.0
        >>> tape.gradient(loss, w)
        array([2., 4.])
    """

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or not hasattr(np.ndarray, name):
            raise AttributeError(f"'TracedArray' object has no attribute {name!r}")
        if self._is_recorded():
            raise AttributeError(
                f"'TracedArray' object has no attribute {name!r} while a GradientTape is recording: "
                "call .numpy() to take the values out"
            )
        return getattr(self._value.copy(), name)

    def __setitem__(self, index: Any, item: Any) -> NoReturn:
        raise TypeError(
            "item assignment: a traced array cannot be changed; "
            "build it with np.where, np.concatenate or np.stack, or call .numpy() for a plain copy"
        )

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self._leave("pickling").__reduce_ex__(protocol)

    def __copy__(self) -> Array:
        return self._leave("copying").copy()

    def __deepcopy__(self, memo: dict[int, Any]) -> Array:
        return self._leave("copying").copy()

    def __repr__(self) -> str:
        return "TracedArray" + repr(self._value).removeprefix("array")
