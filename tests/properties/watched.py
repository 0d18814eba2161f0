"""What a layer was seen to hand to the kernels: the multipliers that chance drew.

Belongs here: watching, and the checks that the multipliers are such as the options say. Does not belong here:
tests, expectations.
"""

from contextlib import contextmanager
from unittest import mock

import numpy as np
from tests.properties.expected_layers import Multipliers

from timeloom import ops
from timeloom.autograd import value


@contextmanager
def watched_calls():
    """Collect (inputs, keywords) of every call of ops.recurrent, alone or in a pair."""
    calls = []
    one, pair = ops.recurrent, ops.recurrent_pair

    def note(**keywords):
        calls.append((np.array(value(keywords["inputs"])), keywords))

    def spy(**keywords):
        note(**keywords)
        return one(**keywords)

    def spy_on_pair(first, second):
        note(**first)
        note(**second)
        return pair(first, second)

    with mock.patch.multiple(ops, recurrent=spy, recurrent_pair=spy_on_pair):
        yield calls


def seen_multipliers(options, call, lengths):
    """What a call of ops.recurrent was handed; checks that dropout has its two values and no others."""
    inputs, keywords = call
    training = options.training
    dropped = {name: keywords.get(name) for name in ("input_dropout", "recurrent_dropout")}
    for name, array in dropped.items():
        rate = getattr(options, name.removeprefix("input_"))
        assert (array is not None) <= (training and rate > 0)
        if array is not None:
            assert set(np.unique(array)) <= {0.0, 1 / (1 - rate)}
    shared = 1.0
    if training and options.dropout and dropped["input_dropout"] is None:
        # The same multiplier at every timestep of a row: a feature that is zero throughout was dropped.
        if lengths is None:
            kept = (inputs != 0).any(axis=1, keepdims=True)
        else:
            rows = np.repeat(np.arange(len(lengths)), lengths)
            kept = np.stack([(inputs[rows == row] != 0).any(axis=0) for row in range(len(lengths))])[rows]
        shared = kept / (1 - options.dropout)
    zoneout = keywords.get("zoneout")
    assert (zoneout is not None) == (options.zoneout > 0)
    for each in zoneout or ():
        assert set(np.unique(each)) <= ({0.0, 1.0} if training else {options.zoneout})
    return Multipliers(shared, *dropped.values(), zoneout)
