# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Loops over ragged data: sequences of unequal lengths, text and class codes, to and from arrays.

Here belong functions that walk such data (pad, pack, gather, bucket, encode, one-hot). Each fills a buffer
that its caller in `timeloom.data` allocated. Here belong no argument defaults, no choice of dtype, no error
text and no NumPy: a buffer is a typed memoryview, and a refusal is an index or a tuple that the caller words.

Legend, for every function below:
    out      C-contiguous, written only where a value belongs
    lengths  [rows], the number of steps of each sequence
    starts   [rows], where the first step of each sequence is written or read
"""

import numbers

from cpython.dict cimport PyDict_GetItemWithError
from cpython.float cimport PyFloat_AS_DOUBLE, PyFloat_CheckExact
from cpython.list cimport PyList_CheckExact, PyList_GET_ITEM, PyList_GET_SIZE
from cpython.long cimport PyLong_AsDouble, PyLong_AsUnsignedLongLong, PyLong_CheckExact
from cpython.object cimport PyObject
from cpython.tuple cimport PyTuple_CheckExact, PyTuple_GET_ITEM, PyTuple_GET_SIZE
from cpython.unicode cimport PyUnicode_DATA, PyUnicode_GET_LENGTH, PyUnicode_KIND
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


def fill_from_lists(
    list rows,
    const Py_ssize_t[::1] lengths,
    const Py_ssize_t[::1] starts,
    Py_ssize_t steps,
    number[:, ::1] out,
    bint nested,
    bint cut_before,
):
    """Copies lists (or tuples) of numbers into `out` [positions, features]; with `nested`, of lists of numbers.

    Of each sequence at most `steps` are taken, the last ones with `cut_before`, else the first ones; they go
    to the positions from `starts` on.

    Returns:
        None, or what stopped it: (reason, row, step, feature) with reason "range", "number",
        "features" (a step that is no list of `features` items) or "changed" (a list whose length is not
        that of `lengths`: the conversion of an item resized it).
    """
    cdef Py_ssize_t features = out.shape[1]
    cdef Py_ssize_t row, step, feature, taken, source, target
    cdef int outcome
    cdef object sequence, values
    if features == 0 or steps == 0:
        return None
    for row in range(lengths.shape[0]):
        if row >= PyList_GET_SIZE(rows):
            return "changed", row, 0, 0
        sequence = <object>PyList_GET_ITEM(rows, row)
        taken = min(lengths[row], steps)
        source = lengths[row] - taken if cut_before else 0
        target = starts[row]
        for step in range(taken):
            # A conversion may run Python code, and that code may shorten the list.
            if size_of(sequence) != lengths[row]:
                return "changed", row, source + step, 0
            values = item_of(sequence, source + step)
            if not nested:
                outcome = store(values, &out[target + step, 0])
                if outcome != STORED:
                    return "range" if outcome == OUT_OF_RANGE else "number", row, source + step, 0
                continue
            for feature in range(features):
                if size_of(values) != features:
                    return "features", row, source + step, feature
                outcome = store(item_of(values, feature), &out[target + step, feature])
                if outcome != STORED:
                    return "range" if outcome == OUT_OF_RANGE else "number", row, source + step, feature
    return None


def plan_runs(
    const Py_ssize_t[::1] starts,
    const Py_ssize_t[::1] lengths,
    const Py_ssize_t[::1] rows,
    Py_ssize_t steps,
    Py_ssize_t[:, ::1] plan,
):
    """Writes `plan` [3, rows]: where each chosen sequence begins, its length, and where it goes when packed.

    A negative row counts from the end. `steps` is what the sequences must lie inside.

    Returns:
        (sum of the chosen lengths, -1), or (a partial sum, the index of the first row that was refused).
    """
    cdef Py_ssize_t index, row, total = 0, count = lengths.shape[0]
    if starts.shape[0] != count or plan.shape[0] != 3 or plan.shape[1] != rows.shape[0]:
        return 0, 0
    for index in range(rows.shape[0]):
        row = rows[index]
        if row < 0:
            row += count
        if not 0 <= row < count or lengths[row] < 0 or not 0 <= starts[row] <= steps - lengths[row]:
            return total, index
        plan[0, index] = starts[row]
        plan[1, index] = lengths[row]
        plan[2, index] = total
        total += lengths[row]
    return total, -1


def copy_runs(
    const unsigned char[:, ::1] source,
    const Py_ssize_t[::1] sources,
    const Py_ssize_t[::1] counts,
    unsigned char[:, ::1] out,
    const Py_ssize_t[::1] starts,
):
    """Copies steps sources[r] ... sources[r] + counts[r] - 1 of `source` to `out` from starts[r] on.

    `source` and `out` are [steps, bytes of a step], so one function serves every dtype without references.

    Returns:
        -1, or the first r whose steps lie outside `source` or `out`: it and those after it are not copied.
    """
    cdef Py_ssize_t step_bytes = out.shape[1], row, count, outside = -1
    if source.shape[1] != step_bytes or sources.shape[0] != counts.shape[0] or starts.shape[0] != counts.shape[0]:
        return 0
    with nogil:
        for row in range(counts.shape[0]):
            count = counts[row]
            if (
                count < 0
                or not 0 <= sources[row] <= source.shape[0] - count
                or not 0 <= starts[row] <= out.shape[0] - count
            ):
                outside = row
                break
            if count > 0 and step_bytes > 0:
                memcpy(&out[starts[row], 0], &source[sources[row], 0], count * step_bytes)
    return outside


def order_by_length(
    const Py_ssize_t[::1] lengths, const Py_ssize_t[::1] rows, Py_ssize_t[::1] counts, Py_ssize_t[::1] out
):
    """Writes `rows` to `out`, ordered by their length; rows of one length keep their order.

    A counting sort. `counts` holds a zero for each length from 0 to the longest and one more; every length
    and row is in range, which the caller has checked.
    """
    cdef Py_ssize_t index, length
    with nogil:
        for index in range(rows.shape[0]):
            counts[lengths[rows[index]] + 1] += 1
        for length in range(1, counts.shape[0]):
            counts[length] += counts[length - 1]
        for index in range(rows.shape[0]):
            length = lengths[rows[index]]
            out[counts[length]] = rows[index]
            counts[length] += 1


# CPython stores a text with 1, 2 or 4 bytes a character.
ctypedef fused character:
    unsigned char
    unsigned short
    unsigned int


cdef Py_ssize_t look_up(
    const character* text, Py_ssize_t size, const int[::1] table, int unknown, int[::1] out
) noexcept nogil:
    """out[i] = table[text[i]]; returns the first i that has no code where `unknown` is negative, else -1."""
    cdef Py_ssize_t index
    cdef int code
    for index in range(size):
        code = table[text[index]] if text[index] < table.shape[0] else -1
        if code < 0:
            if unknown < 0:
                return index
            code = unknown
        out[index] = code
    return -1


def encode_characters(str text not None, const int[::1] table, int unknown, int[::1] out):
    """Writes the code of each character of `text` to `out` [len(text)].

    Args:
        text: any text.
        table: code by code point; -1, and every code point behind its end, is no symbol.
        unknown: the code of what is no symbol; negative refuses it.
        out: of the length of `text`.

    Returns:
        -1, or the index of the first character that was refused.
    """
    cdef Py_ssize_t size = PyUnicode_GET_LENGTH(text), refused
    cdef int kind = PyUnicode_KIND(text)
    cdef void* data = PyUnicode_DATA(text)
    if out.shape[0] != size:
        return 0
    with nogil:
        if kind == 1:
            refused = look_up(<const unsigned char*>data, size, table, unknown, out)
        elif kind == 2:
            refused = look_up(<const unsigned short*>data, size, table, unknown, out)
        else:
            refused = look_up(<const unsigned int*>data, size, table, unknown, out)
    return refused


def encode_words(list words not None, dict codes not None, int unknown, int[::1] out):
    """Writes the code of each word to `out` [len(words)]; as encode_characters, with a dict of codes."""
    cdef Py_ssize_t index
    cdef PyObject* code
    cdef object word
    for index in range(out.shape[0]):
        # The hash of a word may be Python code, which may shorten the list.
        if index >= PyList_GET_SIZE(words):
            return index
        word = <object>PyList_GET_ITEM(words, index)
        code = PyDict_GetItemWithError(codes, word)
        if code is not NULL:
            out[index] = <object>code
        elif unknown < 0:
            return index
        else:
            out[index] = unknown
    return -1


ctypedef fused class_code:
    unsigned char
    int
    long long

ctypedef fused hot_number:
    unsigned char
    float
    double


def mark_classes(const class_code[::1] codes, hot_number[:, ::1] out):
    """out[i, codes[i]] = 1; returns the first i whose code is no class, or -1. `out` holds zeros."""
    cdef Py_ssize_t index, code, outside = -1
    if out.shape[0] != codes.shape[0]:
        return 0
    with nogil:
        for index in range(codes.shape[0]):
            code = codes[index]
            if not 0 <= code < out.shape[1]:
                outside = index
                break
            out[index, code] = 1
    return outside
