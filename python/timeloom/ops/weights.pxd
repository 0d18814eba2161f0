# Fields of KeptWeights in weights.pyx, for it and for recurrent_call.pyx.


cdef class KeptWeights:
    cdef object __weakref__
    cdef readonly object cell
    cdef readonly object packed
    cdef readonly list arrays
    cdef bint biased
    cdef list ends


cpdef KeptWeights kept_weights(cell, kernel, recurrent_kernel, bias)
