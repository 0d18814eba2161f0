"""Data sets by name, under Keras's import path.

Here belong modules with one `load_data()` each, and how files are fetched, checked and cached. Here belong
no preprocessing for a model and no data of more than a few kilobytes.
"""

from timeloom.datasets import japanese_vowels, mnist, shakespeare, sunspots

__all__ = ["japanese_vowels", "mnist", "shakespeare", "sunspots"]
