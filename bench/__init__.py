"""Speed against the reference and against peers; every answer is asserted before it is timed.

Belongs here: the shapes worth measuring, one set of contestants for all benches, pytest-benchmark groups, and
scripts that print ratios. `python -m pytest` runs everything once and untimed.
Does not belong here: tests of values (tests/).
"""
