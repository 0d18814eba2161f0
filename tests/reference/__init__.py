"""The referee: every kernel and operation again, as plain NumPy written from the equations.

Belongs here: forward and backward, in the dtype of their arguments (float64 referees, float32 sets a
tolerance, complex128 carries complex-step derivatives), the shortest text that can be read against a paper.
Does not belong here: anything fast, anything of timeloom, anything a kernel could share a mistake with.
"""
