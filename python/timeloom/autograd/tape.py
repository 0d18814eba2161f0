"""GradientTape: when to record, and what to differentiate."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Any

import numpy as np

from timeloom.autograd.gradients import arrays_of, walk_backward
from timeloom.autograd.recording import CONSTANT, Array, Operand, Session, is_frozen, numeric, thread
from timeloom.autograd.traced import TracedArray

_UNCONNECTED = ("error", "none", "zero")


class GradientTape:
    """Records what is computed inside its ``with`` block, to differentiate it.

    Trainable Variables are followed by themselves. An array becomes a source by ``w = tape.watch(array)``:
    compute with the handle ``w`` and name it as a source. Inside the block operations that a gradient passes
    through return a ``TracedArray``. Tapes of several Python threads are independent of each other.

    Args:
        persistent: whether ``gradient`` may be called more than once. The records then live as long as the
            tape.
        watch_accessed_variables: whether trainable Variables are followed without ``watch``. Only True.

    Example:
        >>> import numpy as np
        >>> import timeloom
        >>> w = timeloom.Variable(np.array([[1.0], [2.0]]))
        >>> x = np.array([[3.0, 4.0]])
        >>> with timeloom.GradientTape() as tape:
        ...     loss = np.mean((x @ w - 10.0) ** 2)
        >>> tape.gradient(loss, [w])
        [array([[6.],
               [8.]])]
    """

    def __init__(self, persistent: bool = False, watch_accessed_variables: bool = True) -> None:
        if not watch_accessed_variables:
            raise NotImplementedError(
                "watch_accessed_variables: expected True, got False, which is not implemented yet"
            )
        self._persistent = bool(persistent)
        self._session: Session | None = None
        self._records: Any = None
        self._versions: Any = None
        self._variables: Any = None
        self._span = (0, 0)
        self._recording = False
        self._used = False

    def __enter__(self) -> GradientTape:
        if self._session is not None or self._used:
            raise RuntimeError(
                "GradientTape: expected a new tape for each with block, got one that was entered before"
            )
        session = thread.session
        if session is None:
            session = thread.session = Session(TracedArray)
        session.depth += 1
        session.tapes += 1
        self._session = session
        self._records = session.records
        self._versions = session.versions
        self._variables = session.variables
        self._span = (len(session.records), -1)
        self._recording = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._recording:
            self._stop()

    def _stop(self) -> None:
        session = self._session
        assert session is not None
        self._recording = False
        self._span = (self._span[0], len(session.records))
        session.depth -= 1
        if session.depth == 0:
            session.close()
            if thread.session is session:
                thread.session = None

    def _open_session(self) -> Session:
        if not self._recording or self._session is None:
            raise RuntimeError("watch: expected to be called inside the with block of the tape")
        if thread.session is not self._session:
            raise RuntimeError("watch: expected to be called in the thread that entered the tape")
        return self._session

    def watch(self, tensor: Any) -> Any:
        """Follow an array, and return the handle to compute with.

        Args:
            tensor: an array of real numbers, a Variable, or a list or tuple of them. An array is copied, so
                it may be changed later. A Variable (trainable or not) is followed itself.

        Returns:
            A TracedArray for an array, the Variable for a Variable, a list or tuple of those for a list or
            tuple.

        Raises:
            TypeError: ``tensor`` is of another type, or not of real numbers.
            RuntimeError: the tape is not recording.
        """
        session = self._open_session()
        if isinstance(tensor, (list, tuple)):
            return type(tensor)(self.watch(item) for item in tensor)
        if isinstance(tensor, TracedArray):
            if tensor._key_in(session) >= 0:
                return tensor
            return TracedArray(tensor._value, session, session.leaf())
        kind = getattr(getattr(tensor, "dtype", None), "kind", "f" if isinstance(tensor, float) else "?")
        if kind != "f":
            received = getattr(tensor, "dtype", type(tensor).__name__)
            raise TypeError(
                f"tensor: expected an array of real numbers (float32, float64) or a Variable, got {received}"
            )
        if isinstance(tensor, Operand):
            session.watch_variable(tensor)  # type: ignore[arg-type]
            return tensor
        array = np.asarray(tensor)
        return TracedArray(array if is_frozen(array) else array.copy(), session, session.leaf())

    def _adopt(self, array: Array) -> Array:
        """Take over an array that nobody changes before the gradient is taken; it is not copied."""
        self._open_session().adopted[id(array)] = array
        return array

    def gradient(
        self,
        target: Any,
        sources: Any,
        output_gradients: Any = None,
        unconnected_gradients: str | None = "error",
    ) -> Any:
        """Differentiate what was recorded.

        Equations:
            d source = sum over the elements y of all targets of output_gradient(y) * dy / d source

        Args:
            target: a traced array, or a list of them whose gradients are added. Not only scalars.
            sources: a Variable or a traced array, or a list, tuple or dict of them.
            output_gradients: gradient of each target, an array of its shape or a list of them; ones by
                default.
            unconnected_gradients: for a source that the target does not depend on: "error" raises ValueError,
                "none" gives None, "zero" an array of zeros.

        Returns:
            For each source, in the structure of ``sources``, an array of its shape and dtype.

        Raises:
            TypeError: a plain array is named as target or source.
            ValueError: a source that the target does not depend on; a shape that does not match.
            RuntimeError: the records are used up, or a Variable changed after it was recorded.
            NotImplementedError: another tape is recording (gradients of gradients are not implemented).
        """
        mode: Any = unconnected_gradients
        if type(mode) is not str or mode not in _UNCONNECTED:
            mode = _unconnected_mode(mode)
        if self._records is None:
            raise RuntimeError(
                "gradient: expected the first call on this tape, got another; "
                "use GradientTape(persistent=True)"
                if self._used
                else "gradient: expected a tape whose with block was entered, got a new one"
            )
        session = thread.session
        if session is not None and not (session is self._session and self._recording and session.depth == 1):
            raise NotImplementedError(
                "gradient: taking a gradient while another GradientTape is recording is not implemented; "
                "leave the other with block first"
            )
        if isinstance(target, (list, tuple)):
            seeded = self._targets(target, output_gradients)
        else:
            seeded = [self._target(target, output_gradients)]
        flat = sources if (is_flat := _is_flat(sources)) else _flatten(sources, [])
        variables: dict[int, int] = self._variables
        keys: list[int | None] = []
        for source in flat:
            key = variables.get(id(source), CONSTANT)  # most sources are Variables that were used
            keys.append(key if key >= 0 else self._source_key(source))
        if self._recording and not self._persistent:
            self._stop()
        span = (self._span[0], len(self._records) if self._recording else self._span[1])
        targets = [(key, seed) for key, seed in seeded if key is not None]
        known = [key for key in keys if key is not None]
        found: dict[int, Any] = {}
        if targets and known:
            # If nobody else walks over the records, and no refusal can follow after which the call is made
            # again, what one keeps is free for those below it.
            session = self._session
            release = mode != "error" and not self._persistent and session is not None and session.tapes == 1
            records = self._records
            if release:
                self._used, self._records = True, None
            found, touched = walk_backward(records, span, targets, known, release)
            self._check_versions(touched, known)
        results = arrays_of(flat, keys, found, targets, mode)
        if not self._persistent:
            self._used = True
            self._records = self._versions = self._variables = self._session = None
        return results if is_flat else _rebuild(sources, iter(results))

    def _targets(self, targets: Sequence[Any], output_gradients: Any) -> list[tuple[int | None, Array]]:
        seeds = [None] * len(targets) if output_gradients is None else list(output_gradients)
        if len(seeds) != len(targets):
            raise ValueError(
                f"output_gradients: expected one for each of {len(targets)} targets, got {len(seeds)}"
            )
        return list(map(self._target, targets, seeds))

    def _target(self, target: Any, seed: Any) -> tuple[int | None, Array]:
        """The key of a target, None for a Variable that was not used, and the gradient to begin with."""
        if not isinstance(target, Operand):
            raise TypeError(
                f"target: expected a traced array that this tape recorded, got {type(target).__name__}: "
                "nothing it was computed from is a trainable Variable or a handle returned by watch()"
            )
        key = self._source_key(target, "target")
        value = target._value
        if seed is None:
            seed = np.empty(value.shape, value.dtype)
            seed.fill(1)
        else:
            # Not copied: gradients are never written to before they are added up in memory of their own.
            if type(seed) is not np.ndarray or seed.dtype is not value.dtype:
                seed = numeric("output_gradients", seed).astype(value.dtype, copy=False)
            if seed.shape != value.shape:
                raise ValueError(
                    f"output_gradients: expected the shape of the target, {value.shape}, got {seed.shape}"
                )
        return key, seed

    def _source_key(self, source: Any, name: str = "sources") -> int | None:
        if isinstance(source, TracedArray):
            if source._session is not self._session:
                raise ValueError(f"{name}: expected a traced array of this tape, got one of another tape")
            return source._key
        if isinstance(source, Operand):
            variables: dict[int, int] = self._variables
            key = variables.get(id(source), CONSTANT)
            return key if key >= 0 else None
        raise TypeError(
            f"{name}: expected Variables or handles returned by watch(), got {type(source).__name__}: "
            "a plain array is not followed; use w = tape.watch(array) and compute with w"
        )

    def _check_versions(self, touched: set[int], known: list[int]) -> None:
        for key, (variable, version) in self._versions.items():
            if variable._version != version and (key in touched or key in known):
                raise RuntimeError(
                    f"gradient: expected Variable {variable.name!r} as it was recorded (version {version}), "
                    f"got version {variable.version}: it was assigned before its gradient was taken"
                )


def _unconnected_mode(mode: Any) -> str:
    name = str(getattr(mode, "value", mode)).lower()
    if name not in _UNCONNECTED:
        raise ValueError(f'unconnected_gradients: expected "error", "none" or "zero", got {mode!r}')
    return name


def _is_flat(sources: Any) -> bool:
    if type(sources) is not list:
        return False
    for source in sources:  # noqa: SIM110 - a generator costs more than what it loops over
        if not isinstance(source, Operand):
            return False
    return True


def _flatten(sources: Any, flat: list[Any]) -> list[Any]:
    if isinstance(sources, (list, tuple)):
        for item in sources:
            _flatten(item, flat)
    elif isinstance(sources, dict):
        for item in sources.values():
            _flatten(item, flat)
    else:
        flat.append(sources)
    return flat


def _rebuild(sources: Any, results: Any) -> Any:
    if isinstance(sources, (list, tuple)):
        items = [_rebuild(item, results) for item in sources]
        return items if isinstance(sources, list) else tuple(items)
    if isinstance(sources, dict):
        return {name: _rebuild(item, results) for name, item in sources.items()}
    return next(results)
