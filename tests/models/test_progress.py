import io
import os
import re
import subprocess
import sys

import numpy as np
import pytest

from timeloom import Sequential
from timeloom.layers import Dense
from timeloom.models import progress

X = np.random.default_rng(0).normal(size=(80, 4)).astype("float32")
Y = X[:, :1]


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    encoding = "utf-8"

    def isatty(self):
        return True


class NotebookStream(io.StringIO):
    """A stream like that of a notebook's kernel: no terminal, yet a carriage return works."""

    encoding = "utf-8"


NotebookStream.__module__ = "ipykernel.iostream"


def shown(text):
    """What a terminal shows of a text: a carriage return starts the line over."""
    lines = []
    for line in text.split("\n"):
        row = ""
        for part in line.split("\r"):
            row = part + row[len(part) :]
        lines.append(row.rstrip())
    return [line for line in lines if line]


@pytest.fixture
def model():
    model = Sequential([Dense(1, input_dim=4)])
    model.compile("adam", "mse", metrics=["mae"])
    return model


VALUES = r" - loss: \S+ - mae: \S+"
EPOCH = rf"5/5 ━{{20}} \d+s \d+[mu]?s/step{VALUES} - val_loss: \S+ - val_mae: \S+"


def test_log_file_gets_two_whole_lines_an_epoch(model, capsys):
    model.fit(X, Y, batch_size=16, epochs=2, validation_data=(X, Y))
    printed = capsys.readouterr().out
    assert "\r" not in printed
    assert "\x1b" not in printed
    lines = printed.splitlines()
    assert len(lines) == 4
    assert lines[0] == "Epoch 1/2"
    assert re.fullmatch(EPOCH, lines[1]), lines[1]
    assert lines[2] == "Epoch 2/2"
    assert re.fullmatch(EPOCH, lines[3]), lines[3]


@pytest.mark.parametrize("stream", [Terminal, NotebookStream])
def test_terminal_and_notebook_show_one_moving_line_an_epoch(model, monkeypatch, stream):
    monkeypatch.setattr(progress, "_INTERVAL", 0.0)
    monkeypatch.setattr(sys, "stdout", stream())
    model.fit(X, Y, batch_size=16, epochs=2, validation_data=(X, Y))
    printed = sys.stdout.getvalue()
    monkeypatch.undo()
    assert printed.count("\r") > 8
    lines = shown(printed)
    assert len(lines) == 4, lines
    assert lines[0] == "Epoch 1/2"
    assert re.fullmatch(EPOCH, lines[1]), lines[1]
    assert re.fullmatch(EPOCH, lines[3]), lines[3]
    assert re.search(rf"2/5 ━+ +0s \d+[mu]?s/step{VALUES}", printed)


def test_moving_line_is_drawn_ten_times_a_second_at_most(model, monkeypatch):
    monkeypatch.setattr(sys, "stdout", Terminal())
    model.fit(X, Y, batch_size=1, epochs=1)
    printed = sys.stdout.getvalue()
    monkeypatch.undo()
    assert printed.count("\r") < 40
    assert len(shown(printed)) == 1


def test_verbose_2_and_0(model, capsys):
    model.fit(X, Y, batch_size=16, epochs=2, verbose=2)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Epoch 1/2"
    assert re.fullmatch(rf"5/5 - \d+s - \d+[mu]?s/step{VALUES}", lines[1]), lines[1]
    assert len(lines) == 4
    model.fit(X, Y, verbose=0)
    model.evaluate(X, Y, verbose=0)
    model.predict(X, verbose=0)
    assert capsys.readouterr().out == ""


def test_evaluate_and_predict_print_a_line(model, capsys):
    model.evaluate(X, Y)
    model.predict(X)
    first, second = capsys.readouterr().out.splitlines()
    assert re.fullmatch(rf"3/3 ━{{20}} \d+s \d+[mu]?s/step{VALUES}", first), first
    assert re.fullmatch(r"3/3 ━{20} \d+s \d+[mu]?s/step", second), second


def test_one_epoch_has_no_headline(model, capsys):
    model.fit(X, Y)
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_stream_that_cannot_write_the_bar_gets_another(model, monkeypatch):
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii", write_through=True))
    model.fit(X, Y)
    printed = raw.getvalue().decode("ascii")
    monkeypatch.undo()
    assert "=" * 20 in printed


def test_no_stream_at_all_is_silence(model, monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    model.fit(X, Y, epochs=2)


SCRIPT = """
import numpy as np, sys
from timeloom import Sequential
from timeloom.layers import Dense
assert "tqdm" not in sys.modules
model = Sequential([Dense(1, input_dim=4)])
model.compile("sgd", "mse")
model.fit(np.ones((80, 4)), np.ones(80), batch_size=16, epochs=2)
print("tqdm" in sys.modules)
"""


def run(command, **options):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "TERM": "xterm", "COLUMNS": "120"}
    return subprocess.run(command, env=environment, check=True, **options).stdout.decode()


def test_pipe_gets_lines_and_never_loads_the_bar():
    printed = run([sys.executable, "-c", SCRIPT], stdout=subprocess.PIPE)
    assert "\r" not in printed
    lines = printed.splitlines()
    assert [lines[0], lines[2], lines[4]] == ["Epoch 1/2", "Epoch 2/2", "False"]


def test_real_terminal_updates_in_place():
    pty = pytest.importorskip("pty")
    master, slave = pty.openpty()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "TERM": "xterm", "COLUMNS": "120"}
    with subprocess.Popen([sys.executable, "-c", SCRIPT], stdout=slave, env=environment) as process:
        os.close(slave)
        printed = b""
        while True:
            try:
                part = os.read(master, 4096)
            except OSError:
                break
            if not part:
                break
            printed += part
        process.wait()
    os.close(master)
    lines = shown(printed.decode().replace("\r\n", "\n"))
    assert lines[0] == "Epoch 1/2"
    assert re.fullmatch(r"5/5 ━{20} \d+s \d+[mu]?s/step - loss: \S+", lines[1]), lines
    assert [lines[2], lines[4]] == ["Epoch 2/2", "True"]
    assert len(lines) == 5


def test_numbers_as_keras_writes_them():
    assert progress.values_text({"a": 12.34567, "b": -0.5, "c": 1e-3, "d": 0.0, "e": float("nan")}) == (
        " - a: 12.3457 - b: -0.5000 - c: 1.0000e-03 - d: 0.0000e+00 - e: nan"
    )
    assert progress._clock(59.9) == "59s"
    assert progress._clock(125) == "2:05"
    assert progress._clock(3725) == "1:02:05"
