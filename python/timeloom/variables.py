"""Variable: a named parameter that owns its memory and counts its versions.

Here: holding and changing values. Not here: how a value is initialised (initializers) or updated
    (optimizers).
"""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np

from timeloom import backend
from timeloom.autograd.recording import Array, VariableOperand, numeric
from timeloom.autograd.traced import ArrayOperators


class Variable(ArrayOperators, VariableOperand):
    """An array that a model learns, or carries from call to call.

    A Variable owns its memory. It changes only by ``assign``, ``assign_add``, ``assign_sub`` and optimizers,
    each of which raises ``version`` by one. It computes as an ndarray does, and outside a tape gives plain
    arrays. While a GradientTape records, a trainable Variable is followed: results are traced arrays, and
    what would cut its gradient raises.

    Args:
        value: numbers of any shape: an array, nested lists or a number. They are copied.
        dtype: data type. Default: that of an array, ``floatx()`` for Python numbers and lists.
        trainable: whether tapes follow it and optimizers change it. Only for real dtypes.
        name: name in messages and files. Default "variable".
        constraint: function that maps an updated value to an allowed one; applied by optimizers.
        regularizer: function that maps the value to a penalty; added to the loss by models.

    Raises:
        ValueError: nested lists of unequal lengths.
        TypeError: ``value`` is not numeric (strings, objects, complex numbers).

    Example:
        >>> import numpy as np
        >>> import timeloom
        >>> w = timeloom.Variable(np.zeros((2, 3), dtype="float32"), name="kernel")
        >>> w.assign_add(np.ones((2, 3)))
        <Variable name=kernel shape=(2, 3) dtype=float32>
        >>> w.numpy().sum(), w.version
        (np.float32(6.0), 1)
    """

    __slots__ = (
        "__weakref__",
        "_packed",
        "constraint",
        "name",
        "path",
        "regularizer",
    )

    def __init__(
        self,
        value: Any,
        dtype: Any = None,
        trainable: bool = True,
        name: str | None = None,
        *,
        constraint: Any = None,
        regularizer: Any = None,
    ) -> None:
        array = numeric("value", value)
        if dtype is None:
            dtype = array.dtype if hasattr(value, "dtype") else np.dtype(backend.floatx())
        dtype = np.dtype(dtype)
        if dtype.kind not in "fiub":
            raise TypeError(f"dtype: expected a real, integer or boolean dtype, got {dtype}")
        # A fresh C-ordered array with native byte order, whatever came in: kernels write into it.
        self._value = np.array(array, dtype=dtype.newbyteorder("="), order="C", copy=True, subok=False)
        self._version = 0
        self._packed: Any = None  # a form of this version for the kernels: has a method close()
        self._trainable = bool(trainable) and dtype.kind == "f"
        self.name = name if name is not None else "variable"
        self.path = self.name
        self.constraint = constraint
        self.regularizer = regularizer

    @property
    def trainable(self) -> bool:
        """Whether tapes follow it by themselves and optimizers change it."""
        return self._trainable

    @trainable.setter
    def trainable(self, trainable: bool) -> None:
        if trainable and self._value.dtype.kind != "f":
            raise ValueError(f"trainable: expected False for dtype {self._value.dtype}, got True")
        self._trainable = bool(trainable)

    @property
    def version(self) -> int:
        """How often the value changed."""
        return self._version

    def assign(self, value: Any) -> Variable:
        """Replace the value.

        Args:
            value: numbers of the same shape; they are cast to this dtype and copied.

        Raises:
            ValueError: another shape.
            TypeError: not numeric, or a traced array whose gradient this would cut.
        """
        array = self._check(value)
        np.copyto(self._value, array, casting="unsafe")
        self._changed()
        return self

    def assign_add(self, value: Any) -> Variable:
        """Add to the value in place."""
        return self.assign(self._value + self._check(value))

    def assign_sub(self, value: Any) -> Variable:
        """Subtract from the value in place."""
        return self.assign(self._value - self._check(value))

    def _check(self, value: Any) -> Array:
        array = value._value if isinstance(value, Variable) else numeric("value", value)
        if array.shape != self._value.shape:
            raise ValueError(
                f"value: expected shape {self._value.shape} of Variable {self.name!r}, got {array.shape}"
            )
        return array

    def _changed(self) -> None:
        """Note that the memory was written; whoever writes to ``_value`` calls it."""
        self._version += 1
        if self._packed is not None:
            self._hold_packed(None)

    def _hold_packed(self, packed: Any) -> None:
        """Hold what was made of the present value, until the next change, and close what was held."""
        held, self._packed = self._packed, packed
        if held is not None:
            held.close()

    def _refuse_in_place(self, _other: Any) -> NoReturn:
        raise TypeError(
            f"Variable {self.name!r}: in-place operators do not change it, "
            "use assign_add(), assign_sub() or assign()"
        )

    __iadd__ = __isub__ = __imul__ = __itruediv__ = __ipow__ = __imatmul__ = _refuse_in_place

    def __setitem__(self, index: Any, item: Any) -> NoReturn:
        raise TypeError(f"Variable {self.name!r}: items cannot be assigned, use assign()")

    # Comparisons are elementwise, yet a Variable is a thing with an identity: a key of dicts and sets.
    __hash__ = object.__hash__

    def __reduce_ex__(self, protocol: Any) -> Any:
        value = self._leave("pickling a Variable")
        state = (
            value,
            self._version,
            self._trainable,
            self.name,
            self.path,
            self.constraint,
            self.regularizer,
        )
        return _restore, (type(self), *state)

    def __copy__(self) -> Variable:
        function, arguments = self.__reduce_ex__(4)
        return function(*arguments)  # type: ignore[no-any-return]

    def __deepcopy__(self, memo: dict[int, Any]) -> Variable:
        copied = memo[id(self)] = self.__copy__()
        return copied

    def __repr__(self) -> str:
        return f"<Variable name={self.name} shape={self.shape} dtype={self.dtype}>"


def _restore(
    kind: type[Variable],
    value: Array,
    version: int,
    trainable: bool,
    name: str,
    path: str,
    constraint: Any,
    regularizer: Any,
) -> Variable:
    variable = kind(value, trainable=trainable, name=name, constraint=constraint, regularizer=regularizer)
    variable._version = version
    variable.path = path
    return variable
