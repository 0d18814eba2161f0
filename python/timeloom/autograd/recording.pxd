# Fields of the classes in recording.pyx, for it and for the other modules that are compiled.


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
    cpdef long long variable_key(self, VariableOperand variable) except? -2
    cpdef append(self, output, tuple keys, backward)
    cpdef tuple append_many(self, outputs, tuple keys, backward)


cdef class Operand:
    cdef public object _value


cdef class TracedOperand(Operand):
    cdef public Session _session
    cdef public long long _key

    cpdef long long _key_in(self, Session session) except? -2
    cpdef bint _is_recorded(self) except -1


cdef class VariableOperand(Operand):
    cdef public long long _version
    cdef public bint _trainable

    cpdef long long _key_in(self, Session session) except? -2
    cpdef bint _is_recorded(self) except -1
