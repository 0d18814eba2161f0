"""Sizes worth measuring: (batch, timesteps, features, units), and what is measured at each.

The list was written before any kernel was tuned, so that no kernel is tuned to what happens to be on it.

Belongs here: the sizes, with what each stands for, and the cells and works that go with them.
Does not belong here: anything that runs.
"""

from typing import NamedTuple


class Shape(NamedTuple):
    """Sizes of one recurrent layer."""

    batch: int
    timesteps: int
    features: int
    units: int

    def __str__(self) -> str:
        return "x".join(map(str, self))


CELLS = ("lstm", "gru", "simple_rnn")
LAYER = ("forward", "forward_backward")
WORKS = (*LAYER, "step", "ragged", "ragged_backward", "recurrent_dropout", "fit")


class Case(NamedTuple):
    """A shape of the grid.

    The works: `forward` is inference over the whole sequence, `forward_backward` adds every gradient; `step`
    is one timestep with state in and out; `ragged` and `ragged_backward` are the two with lengths drawn from
    1 to timesteps; `recurrent_dropout` is forward_backward with another mask of the state for each gate;
    `fit` is an epoch of training.
    """

    shape: Shape
    stands_for: str
    cells: tuple[str, ...] = CELLS
    works: tuple[str, ...] = LAYER


FORECAST = Shape(32, 50, 1, 64)
MNIST_ROWS = Shape(32, 28, 28, 128)
LONG_SERIES = Shape(32, 100, 1, 600)
CHARACTERS = Shape(64, 100, 65, 512)
FEATURES = Shape(128, 100, 128, 256)
LARGE = Shape(64, 50, 1024, 1024)
STREAM = Shape(1, 100, 128, 128)
LARGE_STREAM = Shape(1, 100, 512, 512)
OPTIONS = Shape(64, 100, 128, 128)

LSTM = ("lstm",)
GATED = ("lstm", "gru")
LSTM_AND_SIMPLE = ("lstm", "simple_rnn")
RAGGED = ("ragged", "ragged_backward")

GRID = (
    # ---- up to 128 units -------------------------------------------------------------------------------
    Case(FORECAST, "a series, one value per step"),
    Case(MNIST_ROWS, "the rows of a picture as timesteps", works=(*LAYER, "fit")),
    Case(Shape(32, 10, 2, 16), "a toy problem"),
    Case(Shape(32, 100, 1, 100), "a series, units of no power of two"),
    Case(Shape(32, 784, 1, 128), "the pixels of a picture one by one", GATED),
    Case(Shape(32, 1000, 4, 64), "a long recording of four sensors", GATED),
    Case(Shape(32, 20, 100, 100), "short sentences of word vectors"),
    Case(Shape(32, 35, 1024, 128), "frames of a film, described by a picture network"),
    Case(Shape(16, 24, 7, 50), "a day of weather by the hour"),
    Case(Shape(16, 500, 1, 20), "a heartbeat", GATED),
    Case(Shape(16, 100, 50, 128), "events of a user"),
    Case(Shape(8, 29, 12, 100), "spoken vowels"),
    Case(Shape(8, 200, 3, 32), "an accelerometer", LSTM_AND_SIMPLE),
    Case(Shape(7, 13, 9, 17), "nothing divides anything"),
    Case(Shape(3, 77, 17, 33), "one unit more than four vectors", GATED),
    Case(Shape(4, 250, 80, 128), "spectra of speech, few speakers", GATED),
    Case(Shape(2, 100, 64, 128), "two sequences", LSTM),
    Case(Shape(64, 20, 10, 20), "features made by hand"),
    Case(Shape(64, 50, 64, 64), "a hidden layer of a small stack"),
    Case(OPTIONS, "the layer that options are compared at", works=(*LAYER, *RAGGED, "recurrent_dropout")),
    Case(Shape(64, 30, 300, 128), "sentences of word vectors"),
    Case(Shape(128, 50, 32, 128), "sensors of a machine", GATED),
    Case(Shape(128, 12, 5, 40), "a year by the month"),
    Case(Shape(128, 24, 1, 16), "many short series", LSTM_AND_SIMPLE),
    Case(Shape(256, 28, 28, 128), "the rows of a picture, a large batch"),
    Case(Shape(256, 50, 1, 64), "a series, a large batch", GATED),
    Case(Shape(256, 10, 20, 20), "many rows of little work"),
    Case(Shape(256, 100, 8, 33), "a large batch of an odd number of units", LSTM_AND_SIMPLE),
    # ---- 129 to 255 units ------------------------------------------------------------------------------
    Case(Shape(20, 20, 200, 200), "the small language model of the literature"),
    Case(Shape(32, 80, 40, 150), "phonemes from filter banks", GATED),
    # ---- 256 to 600 units, batch 32 and up -------------------------------------------------------------
    Case(LONG_SERIES, "a series with memory to spare"),
    Case(CHARACTERS, "one-hot characters"),
    Case(FEATURES, "a wide batch of features"),
    Case(Shape(32, 50, 256, 256), "a hidden layer of a stack"),
    Case(Shape(64, 40, 128, 256), "unequal sentences", GATED, (*LAYER, *RAGGED, "recurrent_dropout")),
    Case(Shape(32, 35, 300, 300), "word vectors as wide as the layer", GATED),
    Case(Shape(32, 35, 400, 400), "a tagger", LSTM),
    Case(Shape(32, 150, 80, 256), "speech", GATED),
    Case(Shape(32, 20, 1024, 256), "wide features, short sequences", LSTM_AND_SIMPLE),
    Case(Shape(48, 60, 13, 384), "cepstra", GATED),
    Case(Shape(64, 20, 39, 300), "cepstra and their slopes", LSTM_AND_SIMPLE),
    Case(Shape(64, 50, 512, 512), "a hidden layer of a large stack"),
    Case(Shape(96, 28, 28, 320), "the rows of a picture, a batch of no power of two", LSTM),
    Case(Shape(128, 20, 600, 600), "a translator", GATED),
    Case(Shape(256, 20, 64, 256), "a large batch", LSTM_AND_SIMPLE),
    Case(Shape(256, 30, 100, 512), "a large batch of a large layer", LSTM),
    # ---- 256 to 650 units, small batches ---------------------------------------------------------------
    Case(Shape(20, 35, 650, 650), "the medium language model of the literature", GATED),
    Case(Shape(16, 40, 512, 512), "half a tile for each thread", LSTM_AND_SIMPLE),
    Case(Shape(8, 50, 256, 256), "a batch below which a separate projection wins"),
    Case(Shape(4, 100, 100, 256), "four sequences", LSTM),
    Case(Shape(2, 50, 512, 512), "two sequences of a large layer", GATED),
    # ---- around 1024 units -----------------------------------------------------------------------------
    Case(LARGE, "weights beyond every L2"),
    Case(Shape(32, 25, 1024, 1024), "the same with half the batch"),
    Case(Shape(32, 20, 1000, 1000), "a thousand of each", GATED),
    Case(Shape(128, 10, 64, 1024), "few features into a large layer", LSTM_AND_SIMPLE),
    Case(Shape(256, 8, 512, 1024), "the largest batch and layer", LSTM),
    Case(Shape(16, 20, 128, 1024), "a small batch of a large layer", GATED),
    Case(Shape(64, 20, 1, 1024), "one feature into a large layer", LSTM),
    # ---- one sequence at a time ------------------------------------------------------------------------
    Case(STREAM, "one sequence at a time"),
    Case(LARGE_STREAM, "one sequence at a time, U as large as two L2 caches"),
    Case(Shape(1, 1000, 1, 16), "a long trace of one sensor"),
    Case(Shape(1, 50, 8, 20), "a small controller", LSTM_AND_SIMPLE),
    Case(Shape(1, 100, 40, 64), "keyword spotting", GATED),
    Case(Shape(1, 30, 300, 100), "one sentence"),
    Case(Shape(1, 1000, 16, 128), "a long recording", GATED),
    Case(Shape(1, 100, 1, 128), "one series"),
    Case(Shape(1, 60, 256, 256), "one sequence, U as large as an L2 cache", GATED),
    Case(Shape(1, 50, 1, 512), "one series through a large layer"),
    Case(Shape(1, 60, 600, 600), "one sequence, U beyond both L2 caches", GATED),
    Case(Shape(1, 20, 1024, 1024), "one sequence, weights from L3", GATED),
    # ---- one timestep with state in and out ------------------------------------------------------------
    Case(Shape(1, 1, 1, 16), "the smallest call: overhead alone", works=("step",)),
    Case(Shape(1, 1, 128, 128), "a stream, step by step", works=("step",)),
    Case(Shape(1, 1, 512, 512), "a large stream, step by step", GATED, ("step",)),
    Case(Shape(32, 1, 128, 128), "a decoder of 32 beams", GATED, ("step",)),
    Case(Shape(256, 1, 512, 512), "a decoder of many beams", LSTM, ("step",)),
)

# Small enough for a suite that runs every bench once.
SMALL = (Shape(8, 29, 12, 100), Shape(1, 50, 8, 20))
