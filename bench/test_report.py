"""The report itself: the grid it measures, the classes and verdicts, and one small row from end to end."""

import json

import numpy as np
import pytest

from bench import report, rows, shapes
from bench.measure import Measured, measure, record
from bench.rows import Row
from bench.shapes import GRID, Shape
from bench.timing import PAUSE_SECONDS, time_rounds, wait_for_quiet
from timeloom import backend

FORECAST = Row("lstm", "forward", shapes.FORECAST, 2)
LARGE = Row("lstm", "forward_backward", shapes.LARGE, 1)


def test_grid_covers_the_sizes():
    assert len({case.shape for case in GRID}) == len(GRID) >= 60
    ranges = zip(*(case.shape for case in GRID), strict=True)
    assert [(min(sizes), max(sizes)) for sizes in ranges] == [(1, 256), (1, 1000), (1, 1024), (16, 1024)]
    for case in GRID:
        assert set(case.cells) <= set(shapes.CELLS)
        assert set(case.works) <= set(shapes.WORKS)
    assert {work for case in GRID for work in case.works} == set(shapes.WORKS)


def test_rows_are_chosen_by_every_option():
    every = rows.chosen_rows(shapes.CELLS, shapes.WORKS, [2, 1], "", False)
    assert len(set(every)) == len(every) == 2 * len([row for row in every if row.threads == 1])
    assert sum(row.work == "fit" for row in every) == 2
    quick = rows.chosen_rows(shapes.CELLS, shapes.WORKS, [2], "", True)
    assert 35 <= len(quick) <= 45
    assert set(quick) < set(every)
    assert rows.chosen_rows(["lstm"], ["forward"], [2], " 32x50x1x64 ", False) == [FORECAST]


@pytest.mark.parametrize(
    ("row", "name", "target"),
    [
        (FORECAST, "LSTM, units up to 128", 3.0),
        (LARGE, "LSTM, units about 1024", 1.6),
        (Row("lstm", "forward", shapes.CHARACTERS, 2), "LSTM, units 256 to 600, batch 32 and up", 1.3),
        (Row("lstm", "forward", Shape(4, 100, 100, 256), 2), "any other row", 1.0),
        (Row("gru", "forward", Shape(4, 100, 100, 256), 2), "GRU, larger", 2.0),
        (Row("simple_rnn", "forward_backward", shapes.FORECAST, 2), "SimpleRNN, units up to 128", 2.5),
        (Row("gru", "forward_backward", shapes.STREAM, 2), "batch 1, units up to 128", 4.0),
        (Row("lstm", "forward", shapes.LARGE_STREAM, 2), "batch 1, units 512 and up", 1.5),
        (Row("lstm", "step", Shape(1, 1, 128, 128), 2), "a single step, batch 1, units up to 128", 3.0),
        (Row("lstm", "ragged_backward", shapes.OPTIONS, 2), "any other row", 1.0),
        (Row("lstm", "fit", shapes.MNIST_ROWS, 2), "fit of mnist_rows beside PyTorch", 2.0),
    ],
)
def test_class_and_target(row, name, target):
    assert rows.class_of(row).name == name
    assert rows.target_of(row) == target


def test_every_round_times_everybody_in_changing_order():
    calls = []
    works = [lambda place=place: calls.append(place) for place in range(3)]
    assert time_rounds(works, [1.0] * 3, 4).shape == (4, 3)
    turns = [tuple(calls[start : start + 3]) for start in range(0, 12, 3)]
    assert [sorted(turn) for turn in turns] == [[0, 1, 2]] * 4
    assert len(set(turns)) > 1


def made(row, ours, peer, libraries=("torch", "jax", "onnxruntime")):
    seconds = {"timeloom": ours, "PyTorch": peer, "JAX": [9.0, 9.0, 9.0], "peak": [8.0, 8.0, 8.0]}
    trials = dict.fromkeys(seconds, 1.0)
    measured = Measured(seconds, trials, {}, dict.fromkeys(libraries, ""), 2.0)
    named = {library: library for library in libraries}
    return record(row, measured._replace(libraries=named), "build")


def test_ratio_is_the_median_of_the_rounds_over_the_best_peer():
    found = made(FORECAST, [1.0, 2.0, 1.0], [3.0, 4.0, 4.0])
    assert found["best_peer"] == "PyTorch"
    assert found["ratio"] == [2.5, 3.0, 3.5]  # of 3, 2 and 4
    assert found["share"] == 2.0 / 1.0 / 8.0
    assert found["counts"]


def test_row_counts_only_beside_the_peers_it_needs():
    assert not made(FORECAST, [1.0] * 3, [3.0] * 3, ("torch", "jax"))["counts"]
    assert made(LARGE, [1.0] * 3, [3.0] * 3, ("torch", "jax"))["counts"]
    assert not made(LARGE, [1.0] * 3, [3.0] * 3, ("torch", "onnxruntime"))["counts"]


def test_tables_say_met_and_missed():
    records = {row: made(row, [1.0] * 3, [peer] * 3) for row, peer in ((FORECAST, 4.0), (LARGE, 0.5))}
    for found, trip in zip(records.values(), (90.0, None), strict=True):
        found["round_trip"] = trip  # the second row is of one thread
    text = "\n".join([*report.class_lines(records), *report.summary_lines(records)])
    assert "cores 90 ns apart, there and back (90 to 90 from row to row)" in text
    lines = [line for line in text.splitlines() if line.startswith("LSTM")]
    assert ["met" in line for line in lines] == [True, False]
    assert "worst upper quartile 0.50 (target 1.0: missed; 1 rows below)" in text


def test_a_target_beyond_the_peak_is_out_of_reach():
    near_peak = made(LARGE, [0.3125] * 3, [0.375] * 3)  # 6.4 of 8 flops a second, 1.2 times as fast
    assert near_peak["share"] == 0.8
    assert report.at_peak(near_peak) == pytest.approx(1.5)
    (line,) = report.class_lines({LARGE: near_peak})[1:]
    assert "out of reach" in line
    far_from_it = made(LARGE, [0.5] * 3, [0.6] * 3)
    assert "missed" in report.class_lines({LARGE: far_from_it})[1]


def test_named_peers_are_those_that_a_row_needs():
    found = made(FORECAST, [1.0] * 3, [3.0] * 3)
    other = found | {"best_peer": "OpenVINO", "seconds": found["seconds"] | {"OpenVINO": [2.0] * 3}}
    assert report.beside_named(other) == [3.0] * 3
    timed = {"timeloom": [1.0] * 3, "OpenVINO": [2.0] * 3}
    trials = {"timeloom": 1.0, "OpenVINO": 2.0, "PyTorch, frozen trace": 4.0, "JAX": 5.0}
    assert report.beside_named(other | {"seconds": timed, "trials": trials}) == [4.0] * 3
    slow_but_timed = other | {"seconds": timed | {"ONNX Runtime": [6.0] * 3}, "trials": trials}
    assert report.beside_named(slow_but_timed) == [4.0] * 3
    assert (
        report.beside_named(other | {"seconds": timed, "trials": {"timeloom": 1.0, "OpenVINO": 2.0}}) is None
    )


def test_newest_record_of_this_build_is_read(tmp_path):
    file = tmp_path / "rows.jsonl"
    records = [made(FORECAST, [ours] * 3, [3.0] * 3) for ours in (1.0, 2.0)]
    other = records[0] | {"build": "another"}
    file.write_text("".join(json.dumps(one) + "\n" for one in (*records, other)))
    assert {row: found["ours"] for row, found in report.read(file, "build").items()} == {FORECAST: 2.0}


def test_a_row_from_end_to_end(monkeypatch):
    monkeypatch.setattr("bench.timing.wait_for_quiet", lambda: None)
    kinds = ("timeloom", "NumPy", "PyTorch")
    from bench import contestants

    few = [kind for kind in contestants.contestants("lstm", "forward") if kind.name in kinds]
    monkeypatch.setattr(contestants, "contestants", lambda cell, work: few)
    row = Row("lstm", "forward", Shape(2, 3, 4, 5), 1)
    measured = measure(row, rounds=3)
    assert {len(values) for values in measured.seconds.values()} == {3}
    assert measured.flops == 2 * 2 * 3 * (4 + 5) * 20
    found = record(row, measured, "build")
    assert found["ours"] > 0
    assert found["peak"] > 0
    assert np.isfinite(found["share"])
    backend.set_num_threads(0)


class Clock:
    """Stands in for the module `time`: one thread of the process works until `busy_until`."""

    def __init__(self, busy_until: float) -> None:
        self.now = 0.0
        self.busy_until = busy_until

    def perf_counter(self) -> float:
        return self.now

    def process_time(self) -> float:
        return min(self.now, self.busy_until)

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_a_turn_waits_for_threads_that_still_spin(monkeypatch):
    clock = Clock(busy_until=0.2)
    monkeypatch.setattr("bench.timing.time", clock)
    wait_for_quiet()
    assert 0.2 <= clock.now < 0.2 + 3 * PAUSE_SECONDS
    monkeypatch.setattr("bench.timing.time", Clock(busy_until=np.inf))
    with pytest.raises(RuntimeError, match="fall asleep"):
        wait_for_quiet()
