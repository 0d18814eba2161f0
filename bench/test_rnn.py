"""Recurrent layers: timeloom against the NumPy reference and, where it is installed, PyTorch.

python -m pytest bench/test_rnn.py --benchmark-enable --benchmark-group-by=group
"""

import pytest

from bench.contestants import answers, assert_agree, contestants, problem_of
from bench.shapes import SMALL
from bench.wishes import SHAPE, TARGETS, checked_pairs
from timeloom.ops.recurrent import cells

RUNS = [(cell, kind) for cell in sorted(cells()) for kind in contestants(cell)]


@pytest.mark.parametrize("work", ["forward", "forward_backward"])
@pytest.mark.parametrize("shape", SMALL, ids=str)
@pytest.mark.parametrize(("cell", "kind"), RUNS, ids=[f"{cell}-{kind.name}" for cell, kind in RUNS])
def test_recurrent_layer(benchmark, cell, kind, shape, work):
    contestant = kind(cell, problem_of(cell, shape))
    assert_agree(getattr(contestant, work)(), contestant, answers(cell, shape))
    benchmark.group = f"{cell} {work} {shape}"
    benchmark(getattr(contestant, work))


@pytest.mark.parametrize("work", ["forward", "forward_backward"])
@pytest.mark.parametrize("kind", ["plain", "wish"])
@pytest.mark.parametrize("wish", TARGETS)
def test_wish_beside_the_plain_layer(benchmark, wish, kind, work):
    run = getattr(checked_pairs(wish, SHAPE, peers=False)["timeloom"], kind)
    benchmark.group = f"{wish} {work} {SHAPE}"
    benchmark(getattr(run, work))
