"""Keras's import path `preprocessing.sequence`."""

from timeloom.data import pad_sequences

__all__ = ["pad_sequences"]
