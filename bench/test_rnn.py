"""Recurrent layers: timeloom against NumPy and every peer that is installed, and what wishes cost.

    python -m pytest bench/test_rnn.py --benchmark-enable --benchmark-group-by=group

The whole grid, two threads and one, is for bench.report.
"""

import pytest

from bench.contestants import contestants, task_of
from bench.shapes import LAYER, SMALL, Shape
from bench.wishes import TARGETS, checked_pairs
from timeloom import backend
from timeloom.ops.recurrent_call import cells

SIZES = {
    **dict.fromkeys(LAYER, SMALL),
    "step": (Shape(1, 1, 1, 16), Shape(1, 1, 128, 128)),
    **dict.fromkeys(("ragged", "ragged_backward", "recurrent_dropout"), SMALL[:1]),
}
SLOW = ("PyTorch, compiled", "JAX, all inside the scan")  # to compile
RUNS = [
    pytest.param(cell, work, shape, kind, id=f"{cell}-{work}-{shape}-{kind.name}")
    for cell in sorted(cells())
    for work, sizes in SIZES.items()
    for shape in sizes
    for kind in contestants(cell, work)
    if kind.name not in SLOW
]


# Importing OpenVINO may fork, and JAX, if it runs, warns of any fork.
@pytest.mark.filterwarnings(r"ignore:os\.fork\(\) was called:RuntimeWarning")
@pytest.mark.parametrize(("cell", "work", "shape", "kind"), RUNS)
def test_recurrent_layer(benchmark, cell, work, shape, kind):
    contestant = kind(task_of(cell, shape, work), backend.get_num_threads())
    contestant.check()
    benchmark.group = f"{cell} {work} {shape}"
    benchmark(contestant.run)


@pytest.mark.parametrize("work", LAYER)
@pytest.mark.parametrize("kind", ["plain", "wish"])
@pytest.mark.parametrize("wish", TARGETS)
def test_wish_beside_the_plain_layer(benchmark, wish, kind, work):
    run = getattr(checked_pairs(wish, SMALL[0], peers=False)["timeloom"], kind)
    benchmark.group = f"{wish} {work} {SMALL[0]}"
    benchmark(getattr(run, work))
