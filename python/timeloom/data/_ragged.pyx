# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Loops over ragged data: sequences of unequal lengths to and from rectangular arrays.

Here belong functions that walk sequences of unequal length (pad; later pack, bucket, encode). Each
fills a buffer that its caller in `timeloom.data` allocated and prefilled. Here belong no argument
defaults, no choice of dtype, no error text and no NumPy: a buffer is a typed memoryview.

Legend, for every function below:
    out         [rows, steps, features], C-contiguous; written only where a sequence has a value
    lengths     [rows], the number of steps of each sequence
    pad_before  the filling stands before (Keras "pre") or behind ("post") the values
    cut_before  a sequence that is too long loses its first ("pre") or its last ("post") steps
"""

import numbers

from cpython.float cimport PyFloat_AS_DOUBLE, PyFloat_CheckExact
from cpython.list cimport PyList_CheckExact, PyList_GET_ITEM, PyList_GET_SIZE
from cpython.long cimport PyLong_AsDouble, PyLong_AsUnsignedLongLong, PyLong_CheckExact
from cpython.tuple cimport PyTuple_CheckExact, PyTuple_GET_ITEM, PyTuple_GET_SIZE
from libc.math cimport isfinite, trunc
from libc.string cimport memcpy


cdef extern from "Python.h":
    long long PyLong_AsLongLongAndOverflow(object value, int* overflow) except? -1


ctypedef unsigned long long unsigned_long

ctypedef fused number:
    signed char
    short
    int
    long long
    unsigned char
    unsigned short
    unsigned int
    unsigned_long
    float
    double

# What store() found. The caller names the place in a message.
cdef enum:
    STORED = 0
    OUT_OF_RANGE = 1  # a number that the type of `out` cannot hold
    NOT_A_NUMBER = 2  # text, None, complex, a sequence where a number was expected

cdef double TWO_TO_63 = 9223372036854775808.0


cdef object plain_number(object value):
    """An exact int or float for a bool, a NumPy scalar, a 0-d array or a Fraction; None for the rest.

    Text is refused although `float("1")` works: a forgotten tokenizer should not pass as numbers.
    """
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, (str, bytes, bytearray)):
        return None
    if isinstance(value, numbers.Complex) and not isinstance(value, numbers.Real):
        return None
    dtype = getattr(value, "dtype", None)
    if dtype is not None:
        if getattr(value, "ndim", 1) != 0 or dtype.kind not in "biuf":
            return None
        value = value.item()
        if isinstance(value, numbers.Integral):
            return int(value)
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


cdef int store_float(double value, number* target) noexcept:
    """`target[0] = value`, towards zero for integers."""
    cdef double whole
    if number is double:
        target[0] = value
    elif number is float:
        target[0] = <float>value
        if isfinite(value) and not isfinite(target[0]):
            return OUT_OF_RANGE
    else:
        whole = trunc(value)
        if not isfinite(whole):
            return OUT_OF_RANGE
        if number is unsigned_long:
            if whole < 0 or whole >= 2 * TWO_TO_63:
                return OUT_OF_RANGE
            target[0] = <number>whole
        else:
            if whole < -TWO_TO_63 or whole >= TWO_TO_63:
                return OUT_OF_RANGE
            target[0] = <number><long long>whole
            if <double>target[0] != whole:
                return OUT_OF_RANGE
    return STORED


cdef int store_int(object value, number* target) except -1:
    """`target[0] = value` for an exact int."""
    cdef long long whole
    cdef int overflow = 0
    if number is float or number is double:
        try:
            return store_float(PyLong_AsDouble(value), target)
        except OverflowError:
            return OUT_OF_RANGE
    elif number is unsigned_long:
        try:
            target[0] = PyLong_AsUnsignedLongLong(value)
        except OverflowError:
            return OUT_OF_RANGE
    else:
        whole = PyLong_AsLongLongAndOverflow(value, &overflow)
        target[0] = <number>whole
        if overflow != 0 or <long long>target[0] != whole:
            return OUT_OF_RANGE
    return STORED


cdef inline int store(object value, number* target) except -1:
    if PyLong_CheckExact(value):
        return store_int(value, target)
    if PyFloat_CheckExact(value):
        return store_float(PyFloat_AS_DOUBLE(value), target)
    value = plain_number(value)
    if value is None:
        return NOT_A_NUMBER
    if PyFloat_CheckExact(value):
        return store_float(PyFloat_AS_DOUBLE(value), target)
    return store_int(value, target)


cdef inline Py_ssize_t size_of(object row):
    """Length of an exact list or tuple, -1 for anything else."""
    if PyList_CheckExact(row):
        return PyList_GET_SIZE(row)
    if PyTuple_CheckExact(row):
        return PyTuple_GET_SIZE(row)
    return -1


cdef inline object item_of(object row, Py_ssize_t index):
    """`row[index]` of an exact list or tuple; the caller has read the size since Python code last ran."""
    if PyList_CheckExact(row):
        return <object>PyList_GET_ITEM(row, index)
    return <object>PyTuple_GET_ITEM(row, index)


def measure(list rows, Py_ssize_t[::1] lengths):
    """Writes the length of every row that is an exact list or tuple.

    Returns the index of the first row that is neither, or -1.
    """
    cdef Py_ssize_t row
    for row in range(lengths.shape[0]):
        lengths[row] = size_of(<object>PyList_GET_ITEM(rows, row))
        if lengths[row] < 0:
            return row
    return -1


def fill_from_lists(list rows, number[:, :, ::1] out, bint nested, bint pad_before, bint cut_before):
    """Copies lists (or tuples) of numbers into `out`; with `nested`, lists of lists of `features` numbers.

    Returns:
        None, or what stopped it: (reason, row, step, feature) with reason "range", "number",
        "features" (a step that is no list of `features` items) or "changed" (a list that was
        resized by the conversion of its own items).
    """
    cdef Py_ssize_t steps = out.shape[1], features = out.shape[2]
    cdef Py_ssize_t row, step, feature, length, taken, source, target
    cdef int outcome
    cdef object sequence, values
    if features == 0 or steps == 0:
        return None
    for row in range(out.shape[0]):
        if row >= PyList_GET_SIZE(rows):
            return "changed", row, 0, 0
        sequence = <object>PyList_GET_ITEM(rows, row)
        length = size_of(sequence)
        taken = min(length, steps)
        source = length - taken if cut_before else 0
        target = steps - taken if pad_before else 0
        for step in range(taken):
            # A conversion may run Python code, and that code may shorten the list.
            if size_of(sequence) != length:
                return "changed", row, source + step, 0
            values = item_of(sequence, source + step)
            if not nested:
                outcome = store(values, &out[row, target + step, 0])
                if outcome != STORED:
                    return "range" if outcome == OUT_OF_RANGE else "number", row, source + step, 0
                continue
            for feature in range(features):
                if size_of(values) != features:
                    return "features", row, source + step, feature
                outcome = store(item_of(values, feature), &out[row, target + step, feature])
                if outcome != STORED:
                    return "range" if outcome == OUT_OF_RANGE else "number", row, source + step, feature
    return None


def fill_from_flat(
    const unsigned char[::1] flat,
    const Py_ssize_t[::1] lengths,
    unsigned char[:, :, ::1] out,
    bint pad_before,
    bint cut_before,
):
    """Copies sequences that lie one behind the other in `flat` into `out`, byte by byte.

    `features` is here the number of bytes of one step, so one function serves every dtype without
    references; `flat` holds sum(lengths) steps, which the caller guarantees.
    """
    cdef Py_ssize_t steps = out.shape[1], step_bytes = out.shape[2]
    cdef Py_ssize_t row, taken, source, target, begin = 0
    if steps == 0 or step_bytes == 0:
        return
    with nogil:
        for row in range(out.shape[0]):
            taken = min(lengths[row], steps)
            if taken > 0:
                source = begin + (lengths[row] - taken if cut_before else 0)
                target = steps - taken if pad_before else 0
                memcpy(&out[row, target, 0], &flat[source * step_bytes], taken * step_bytes)
            begin += lengths[row]
