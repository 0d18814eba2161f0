import argparse
import sys

import pytest

from timeloom.examples import pictures


def test_whole_number_takes_its_minimum_and_more():
    assert pictures.whole_number(1)("1") == 1
    assert pictures.whole_number(0)("12") == 12


@pytest.mark.parametrize("text", ["0", "-3", "2.5", "many", ""])
def test_whole_number_refuses(text):
    with pytest.raises(argparse.ArgumentTypeError, match="expected a whole number of at least 1, got"):
        pictures.whole_number(1)(text)


def test_picture_path_takes_known_suffixes(tmp_path):
    assert pictures.picture_path(str(tmp_path / "a.PNG")) == tmp_path / "a.PNG"


@pytest.mark.parametrize(
    ("text", "message"),
    [("a.txt", "ends in .png"), ("", "ends in .png"), ("nowhere/a.png", "in an existing folder")],
)
def test_picture_path_refuses(text, message):
    with pytest.raises(argparse.ArgumentTypeError, match=message):
        pictures.picture_path(text)


def test_marks_stay_inside_the_line():
    assert pictures.marks({"#": -5.0, "o": 200.0}, scale=100.0, width=5) == "#   o"
    assert pictures.marks({"#": 50.0, "o": 50.0}, scale=100.0, width=5) == "  o"


def test_new_figure_without_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert pictures.new_figure() is None


def test_save_prints_the_path(tmp_path, capsys):
    class Figure:
        def savefig(self, path, dpi):
            path.write_bytes(b"picture")

    pictures.save(Figure(), tmp_path / "empty.png")
    assert (tmp_path / "empty.png").read_bytes() == b"picture"
    assert str(tmp_path / "empty.png") in capsys.readouterr().out
