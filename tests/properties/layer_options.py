"""Combinations of the options of recurrent layers, for timeloom and for whoever has Keras's names.

Belongs here: what chance may draw, and how a layer is made of it. Does not belong here: tests, expectations.
"""

from dataclasses import dataclass

from hypothesis import strategies as st
from tests.reference.problems import MASKS

# The name of a cell in the reference: the layer, the cell, and their arguments.
KINDS = {
    "simple_rnn": ("SimpleRNN", "SimpleRNNCell", {}),
    "lstm": ("LSTM", "LSTMCell", {}),
    "gru": ("GRU", "GRUCell", {"reset_after": True}),
    "gru_reset_before": ("GRU", "GRUCell", {"reset_after": False}),
}
ACTIVATIONS = ("tanh", "tanh", "relu", "sigmoid", "softsign", "elu", "hard_sigmoid", "silu", "linear")


@dataclass(frozen=True)
class Options:
    """One layer and one call of it."""

    cell: str
    stacked: int
    merge_mode: str | None
    batch: int
    timesteps: int
    features: int
    units: int
    arrangement: str
    calls: int
    activation: str
    recurrent_activation: str
    use_bias: bool
    dropout: float
    recurrent_dropout: float
    implementation: int
    zoneout: float
    initial_state: bool
    stateful: bool
    training: bool
    go_backwards: bool
    return_sequences: bool
    zero_output_for_mask: bool
    seed: int

    @property
    def is_packed(self):
        return self.arrangement == "packed"


@st.composite
def drawn_options(draw):
    """Any combination; half of the draws are a plain layer."""
    cell = draw(st.sampled_from(sorted(KINDS)))
    stateful = draw(st.booleans())
    flags = (
        "use_bias",
        "initial_state",
        "training",
        "go_backwards",
        "return_sequences",
        "zero_output_for_mask",
    )
    chosen = {name: draw(st.booleans()) for name in flags}
    merge_mode = draw(st.sampled_from((None, None, "concat", "sum", "mul", "ave")))
    if merge_mode:
        chosen["go_backwards"] = False  # Bidirectional decides
    return Options(
        cell=cell,
        stacked=draw(st.sampled_from((1, 1, 2))),
        merge_mode=merge_mode,
        batch=draw(st.integers(1, 4)),
        timesteps=draw(st.integers(1, 6)),
        features=draw(st.integers(1, 3)),
        units=draw(st.sampled_from((1, 3, 9))),
        arrangement=draw(st.sampled_from(("dense", "dense", "packed", *MASKS))),
        calls=2 if stateful else 1,
        activation=draw(st.sampled_from(ACTIVATIONS)),
        recurrent_activation=draw(st.sampled_from(("sigmoid", "sigmoid", "hard_sigmoid", "tanh"))),
        dropout=draw(st.sampled_from((0.0, 0.0, 0.5))),
        recurrent_dropout=draw(st.sampled_from((0.0, 0.0, 0.25))),
        implementation=draw(st.sampled_from((1, 2))),
        zoneout=draw(st.sampled_from((0.0, 0.0, 0.375))),
        stateful=stateful,
        seed=draw(st.integers(0, 2**16)),
        **chosen,
    )


def layer_of(options, module):
    """The layer of a module with Keras's names, unbuilt; it returns its states."""
    kind, cell_kind, more = KINDS[options.cell]
    gates = {} if options.cell == "simple_rnn" else {"recurrent_activation": options.recurrent_activation}
    of_cell = {
        "activation": options.activation,
        "use_bias": options.use_bias,
        "dropout": options.dropout,
        "recurrent_dropout": options.recurrent_dropout,
        **({"zoneout": options.zoneout} if options.zoneout else {}),
        "seed": options.seed,
        **({} if options.cell == "simple_rnn" else {"implementation": options.implementation}),
        **gates,
        **more,
    }
    of_layer = {
        "return_sequences": options.return_sequences,
        "return_state": True,
        "go_backwards": options.go_backwards,
        "stateful": options.stateful,
        "zero_output_for_mask": options.zero_output_for_mask,
        "dtype": "float64",
    }
    if options.stacked > 1:
        cells = [
            getattr(module, cell_kind)(options.units, dtype="float64", **of_cell)
            for _ in range(options.stacked)
        ]
        layer = module.RNN(module.StackedRNNCells(cells, dtype="float64"), **of_layer)
    else:
        layer = getattr(module, kind)(options.units, **of_cell, **of_layer)
    if options.merge_mode:
        layer = module.Bidirectional(layer, merge_mode=options.merge_mode, dtype="float64")
    return layer
