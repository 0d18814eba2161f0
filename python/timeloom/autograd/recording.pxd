# Fields of the classes in recording.pyx, for it and for the other modules that are compiled.

cdef enum:
    PLAIN = -1
    UNKNOWN = -0x7fffffff  # no key at all: what a function returns that raises


cdef class Paired:
    cdef public Paired before


cdef class Session:
    cdef public object array_type
    cdef public bint recording
    cdef public long long depth
    cdef public long long tapes
    cdef public long long next_key
    cdef public list records
    cdef public dict variables
    cdef public dict versions
    cdef public dict adopted

    cpdef long long leaf(self)
    cpdef long long variable_key(self, VariableOperand variable) except? UNKNOWN
    cpdef append(self, output, tuple keys, backward)
    cpdef tuple append_many(self, outputs, tuple keys, backward)


cdef class Operand:
    cdef public object _value

    cdef long long key_in(self, Session session) except? UNKNOWN
    cdef bint recorded(self) except -1


cdef class TracedOperand(Operand):
    cdef public Session _session
    cdef public long long _key


cdef class VariableOperand(Operand):
    cdef public long long _version
    cdef public bint _trainable


cpdef value(operand)
