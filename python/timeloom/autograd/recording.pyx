# cython: language_level=3, auto_pickle=False, nonecheck=True
"""What happens while a tape records: operands, keys and the list of records.

Compiled, as every operation on a tape passes here; its types are in recording.pyi. Here: what recording does.
Not here: the rules of operations (ufuncs and its neighbours), the walk back (gradients).

A *session* is one stretch of recording on one Python thread, from the entry of the outermost tape to its
exit; nested tapes share it. Every traced value of a session has a key, a number that grows. A record is
``(key, count, keys, backward)``: it produced the values ``key .. key + count - 1`` from the values ``keys``,
all of them smaller, and ``backward(needs, *gradients)`` maps gradients of the former to gradients of the
latter. A value that nothing produced has no record.
"""

import threading

import numpy as np

# Keys below zero carry no gradient: CONSTANT is a plain operand, the ones below it are Variables that
# nothing asks a gradient of but whose version still has to be what it was.
CONSTANT = PLAIN

Array = np.ndarray  # of any dtype: see recording.pyi

cdef object ndarray = np.ndarray


cdef class Paired:
    """A backward of several results that can run at once with that of the record right before its own.

    Args:
        before: That one; None: there is none to wait for.
    """

    def __init__(self, Paired before=None):
        self.before = before

    def __call__(self, needs, *gradients):
        """As every backward."""
        raise NotImplementedError

    def with_before(self, needs, gradients, needs_before, gradients_before):
        """Its own results, and after them those of ``before``."""
        raise NotImplementedError


cdef class Operand:
    """What a tape may follow; ``_value`` changes only by ``assign`` of a Variable."""

    cdef long long key_in(self, Session session) except? UNKNOWN:
        """The number under which ``session`` knows it, below zero where it carries no gradient."""
        raise NotImplementedError

    cdef bint recorded(self) except -1:
        """Whether a tape is recording it now, so that converting it would cut a gradient."""
        raise NotImplementedError

    # The same from Python.
    def _key_in(self, Session session):
        return self.key_in(session)

    def _is_recorded(self):
        return self.recorded()


cdef class TracedOperand(Operand):
    """Base of TracedArray: a value of a session.

    Args:
        value: the array.
        session: the session that recorded it.
        key: its key there.
    """

    def __init__(self, value, Session session not None, long long key):
        self._value = value
        self._session = session
        self._key = key

    cdef long long key_in(self, Session session) except? UNKNOWN:
        if self._session is session:
            return self._key
        if self._session.recording:
            raise RuntimeError(
                "a traced array belongs to the thread whose tape records it: "
                "call .numpy() to use its values in another"
            )
        return PLAIN

    cdef bint recorded(self) except -1:
        return self._session.recording


cdef class VariableOperand(Operand):
    """Base of Variable: a value that tapes know by its identity and the version they met."""

    cdef long long key_in(self, Session session) except? UNKNOWN:
        return PLAIN if session is None else session.variable_key(self)

    cdef bint recorded(self) except -1:
        cdef Session session = thread.session
        if session is None:
            return False
        return self._trainable or session.variables.get(id(self), PLAIN) >= 0


cdef class Session:
    """One stretch of recording on one thread.

    Args:
        array_type: class of the traced results, called as ``array_type(value, session, key)``.
    """

    def __init__(self, array_type):
        self.array_type = array_type
        self.recording = True
        self.records = []
        self.variables = {}
        self.versions = {}
        self.adopted = {}

    cpdef long long leaf(self):
        """Give a key to a value that nothing produced."""
        self.next_key += 1
        return self.next_key - 1

    cpdef long long variable_key(self, VariableOperand variable) except? UNKNOWN:
        """The key of a Variable; the first use notes its version."""
        identity = id(variable)
        found = self.variables.get(identity)
        if found is not None:
            return found
        key = self.leaf() if variable._trainable else PLAIN - 1 - len(self.versions)
        self.variables[identity] = key
        self.versions[key] = (variable, variable._version)
        return key

    def watch_variable(self, VariableOperand variable not None):
        """Follow a Variable even if it is not trainable."""
        identity = id(variable)
        if self.variables.get(identity, PLAIN) < 0:
            key = self.leaf()
            self.variables[identity] = key
            self.versions[key] = (variable, variable._version)

    def close(self):
        """End the recording. Traced arrays outlive it and hold this: leave nothing that costs memory."""
        self.recording = False
        self.records = []
        self.variables = {}
        self.versions = {}
        self.adopted = {}

    cpdef append(self, output, tuple keys, backward):
        """Record an operation of one result."""
        key = self.leaf()
        self.records.append((key, 1, keys, backward))
        return self.array_type(output, self, key)

    cpdef tuple append_many(self, outputs, tuple keys, backward):
        """Record an operation of several results, which share one backward."""
        first = self.next_key
        self.next_key += len(outputs)
        self.records.append((first, len(outputs), keys, backward))
        return tuple([self.array_type(output, self, key) for key, output in enumerate(outputs, first)])


class _Thread(threading.local):
    session = None


thread = _Thread()


cpdef value(operand):
    """The array behind a traced array or a Variable; anything else as it is. For reading only."""
    return (<Operand>operand)._value if isinstance(operand, Operand) else operand


cdef long long key_of(operand, Session session) except? UNKNOWN:
    """The key of anything that an operation is given."""
    return (<Operand>operand).key_in(session) if isinstance(operand, Operand) else PLAIN


def is_recorded(*inputs):
    """Whether an operation on these inputs is recorded by a tape of this thread."""
    cdef Session session = thread.session
    for x in inputs:
        if key_of(x, session) >= 0:
            return True
    return False


def keys_of(*inputs):
    """The keys of these inputs where a tape of this thread follows one of them, else None.

    An operation that has to know before it computes asks here and gives them to ``append`` or
    ``append_many``; the others call ``record``.
    """
    return recorded_keys(inputs)


cdef tuple recorded_keys(inputs):
    cdef Session session = thread.session
    cdef long long key
    cdef bint any_recorded = False
    keys = []
    for x in inputs:
        key = key_of(x, session)
        any_recorded |= key >= 0
        keys.append(key)
    return tuple(keys) if any_recorded else None


def record(output, inputs, backward):
    """Record one operation if a tape of this thread follows one of its inputs.

    Args:
        output: the array computed. Integers and booleans carry no gradient and come back plain.
        inputs: operands in the order of the gradients that ``backward`` returns; plain ones and None may be
            among them.
        backward: ``backward(needs, d_output)`` returns one gradient for each input, or None where ``needs``
            (a list of bool) is False. Arrays it keeps must be safe from changes: see ``keep``.

    Returns:
        A traced array, or ``output`` itself when nothing is recorded.
    """
    keys = recorded_keys(inputs)
    if keys is None:
        return output
    kind = output.dtype.kind
    if kind != "f":
        if kind in "iub":
            return output
        raise TypeError(f"traced array: expected results of real numbers, got dtype {output.dtype}")
    return append(output if type(output) is ndarray else np.asarray(output), keys, backward)


def append(output, tuple keys, backward):
    """Record an operation of one real result on the inputs of these keys; ``backward`` as for ``record``."""
    return (<Session?>thread.session).append(output, keys, backward)


def append_many(outputs, tuple keys, backward):
    """As ``append`` for several results; ``backward(needs, *d_outputs)`` gets None for an unused result."""
    return (<Session?>thread.session).append_many(outputs, keys, backward)


def keep(operand):
    """The value of an operand, safe to keep until backward: what its owner could still change is copied."""
    if isinstance(operand, Operand):
        return (<Operand>operand)._value
    if isinstance(operand, ndarray):
        return operand if is_frozen(operand) else operand.copy()
    if isinstance(operand, (np.generic, float, int, type(None))):
        return operand
    return np.array(operand)


def is_frozen(owner):
    """Whether nobody changes this array before the gradient is taken."""
    cdef Session session = thread.session
    cdef bint writable = False
    while isinstance(owner, ndarray):
        if session is not None and id(owner) in session.adopted:
            return True
        writable = writable or owner.flags.writeable
        owner = owner.base
    if writable:
        return False
    # Memory of another library (a memory map, a capsule) may change under a read-only view of it.
    return owner is None or isinstance(owner, bytes)


def refusal(str what):
    """The error of everything that would cut a gradient without a word."""
    return TypeError(
        f"{what} would cut the gradient that a GradientTape is recording: "
        "call .numpy() to take the values out, or do it after the with block"
    )


def numeric(str name, given):
    """An array of real numbers, of whatever a user gives as one."""
    try:
        array = np.asarray(given)
    except ValueError as error:
        raise ValueError(
            f"{name}: expected numbers of one shape, got nested lists of unequal lengths"
        ) from error
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name}: expected real numbers, got dtype {array.dtype}")
    return array
