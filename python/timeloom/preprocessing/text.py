"""Keras's import path `preprocessing.text`."""

from timeloom.data.text import text_to_word_sequence
from timeloom.data.tokenizer import Tokenizer, tokenizer_from_json

__all__ = ["Tokenizer", "text_to_word_sequence", "tokenizer_from_json"]
