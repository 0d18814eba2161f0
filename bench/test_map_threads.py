"""The maps that the thresholds of the thread plan are read from: a line for each size, every way legal."""

import pytest

from bench import map_threads
from timeloom import _core


def test_every_path_of_the_kernels_is_mapped():
    assert list(map_threads.PATHS) == _core.rnn_paths()


@pytest.mark.parametrize("work", ["forward", "backward"])
@pytest.mark.parametrize("name", ["paths", "blocks"])
def test_map_prints_a_line_for_each_size(name, work, capsys, monkeypatch):
    monkeypatch.setattr("bench.timing.wait_for_quiet", lambda: None)
    sizes = ["--units", "8", "300", "--batches", "1", "2", "--features", "3"]
    map_threads.main(["--maps", name, "--work", work, "--rounds", "1", *sizes])
    lines = capsys.readouterr().out.splitlines()
    mapped = [line for line in lines if line.count("*") == 1]
    assert len(mapped) == {"paths": 2 * 4, "blocks": 2 * 2}[name]  # one thread and two; blocks want units
