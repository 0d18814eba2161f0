import sys

import numpy as np
import pytest

from timeloom.examples import xor

LIMITS = xor.Limits(error=0.01, change=1e-3, iterations=3000)


@pytest.mark.parametrize("updating", ["case", "batch"])
def test_train_learns_exclusive_or(updating):
    run = xor.train(updating, seed=2, spread=4.0, learning_rate=2.0, limits=LIMITS)
    assert run.stopped_by == "error"
    assert run.solved
    assert run.errors[-1] < 0.01 <= min(run.errors[:-1])
    np.testing.assert_allclose(run.answers, [0, 1, 1, 0], atol=0.2)
    assert run.errors[-1] == pytest.approx(float(np.mean((run.answers - [0, 1, 1, 0]) ** 2)))


def test_both_ways_of_updating_begin_with_the_same_weights():
    # With a step too small to matter both give the error of the first weights.
    limits = xor.Limits(error=1e-9, change=1e-30, iterations=1)
    case, batch = (xor.train(updating, 3, 4.0, 1e-12, limits) for updating in ("case", "batch"))
    assert case.errors == pytest.approx(batch.errors, rel=1e-5)
    assert case.errors != pytest.approx(xor.train("case", 4, 4.0, 1e-12, limits).errors, rel=1e-3)


def test_case_updating_takes_four_steps_and_batch_updating_the_mean_gradient(monkeypatch):
    steps = []
    fit = xor.Sequential.fit

    def counted(self, *arguments, **options):
        result = fit(self, *arguments, **options)
        steps.append(int(self.optimizer.iterations))
        return result

    monkeypatch.setattr(xor.Sequential, "fit", counted)
    for updating in ("case", "batch"):
        xor.train(updating, 0, 1.0, 2.0, xor.Limits(1e-9, 1e-9, 5))
    assert steps == [20, 5]


@pytest.mark.parametrize(
    ("limits", "stopped_by", "iterations"),
    [
        (xor.Limits(0.9, 1e-9, 50), "error", 1),
        (xor.Limits(1e-9, 10.0, 50), "change", 1),
        (xor.Limits(1e-9, 1e-9, 4), "iterations", 4),
    ],
)
def test_each_limit_stops(limits, stopped_by, iterations):
    run = xor.train("batch", 0, 1.0, 0.1, limits)
    assert run.stopped_by == stopped_by
    assert len(run.errors) == iterations


def test_report_says_what_became_of_each(capsys):
    errors = [0.3, 0.125]
    stuck = xor.Run("batch", 3, errors, "change", np.array([0.02, 0.97, 0.5, 0.49]))
    late = xor.Run("case", 4, errors, "iterations", np.array([0.9, 0.9, 0.9, 0.9]))
    good = xor.Run("case", 5, errors, "error", np.array([0.1, 0.9, 0.9, 0.1]))
    assert (stuck.solved, late.solved, good.solved) == (False, False, True)
    xor.report([stuck, late, good], LIMITS)
    said = capsys.readouterr().out
    assert "Case updating solved 1 of 2, in 2 iterations (median)." in said
    assert "Batch updating solved 0 of 1." in said
    assert (
        "batch updating from seed 3: the weights stood still (changes below 0.001) at an error of 0.125"
        in said
    )
    assert "2 of the 4 answers are between 0.25 and 0.75" in said
    assert "case updating from seed 4: still at an error of 0.125 after 2 iterations" in said
    xor.report([good], LIMITS)
    assert "None of these first weights led into a local minimum" in capsys.readouterr().out


def test_the_same_seed_gives_the_same_run():
    first, second = (xor.train("case", 5, 4.0, 2.0, xor.Limits(0.01, 1e-3, 20)) for _ in range(2))
    assert first.errors == second.errors
    np.testing.assert_array_equal(first.answers, second.answers)


def test_example_draws_a_picture(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    xor.main(["--seeds", "2", "--iterations", "5", "--output", str(tmp_path / "error.png")])
    assert (tmp_path / "error.png").read_bytes().startswith(b"\x89PNG")
    said = capsys.readouterr().out
    assert said.count("           5  iterations  ") == 2
    assert "Picture:" in said


def test_example_without_matplotlib(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.chdir(tmp_path)
    xor.main(["--seeds", "2", "--iterations", "2"])
    assert 'pip install "timeloom[plot]"' in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["--seeds"],
        ["--iterations", "0"],
        ["--error", "0"],
        ["--change", "-1"],
        ["--range", "nan"],
        ["--learning-rate", "inf"],
        ["--learning-rate", "fast"],
    ],
)
def test_example_refuses_arguments(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        xor.main(arguments)
    assert caught.value.code == 2
    assert "error: " in capsys.readouterr().err
