"""Models whose memory is estimated and measured."""

import numpy as np

from timeloom import Sequential
from timeloom.layers import (
    GRU,
    LSTM,
    RNN,
    Activation,
    Bidirectional,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    GRUCell,
    Input,
    LSTMCell,
    Masking,
    RepeatVector,
    SimpleRNN,
    TimeDistributed,
)

GENERATOR = np.random.default_rng(7)


def features(*shape):
    return lambda: GENERATOR.standard_normal(shape, dtype="float32")


def labels(classes, *shape):
    return lambda: GENERATOR.integers(0, classes, shape)


# name: layers, inputs, targets, options of compile
MODELS = {
    "lstm": (lambda: [Input((None, 96)), LSTM(128), Dense(1)], features(64, 60, 96), features(64, 1), {}),
    "lstm of odd units": (
        lambda: [Input((None, 3)), LSTM(37, return_sequences=True), Dense(4)],
        features(96, 80, 3),
        features(96, 80, 4),
        {},
    ),
    "gru sequences": (
        lambda: [Input((None, 32)), GRU(96, return_sequences=True), Dense(8)],
        features(32, 120, 32),
        features(32, 120, 8),
        {"optimizer": "rmsprop"},
    ),
    "gru, reset before": (
        lambda: [Input((None, 32)), GRU(96, reset_after=False), Dense(8)],
        features(48, 80, 32),
        features(48, 8),
        {},
    ),
    "simple rnn": (
        lambda: [Input((None, 32)), SimpleRNN(128, return_sequences=True), SimpleRNN(64), Dense(8)],
        features(128, 60, 32),
        features(128, 8),
        {"optimizer": "sgd"},
    ),
    "stacked": (
        lambda: [
            Input((None, 64)),
            LSTM(128, return_sequences=True),
            GRU(64, return_sequences=True),
            LSTM(96),
        ],
        features(32, 80, 64),
        features(32, 96),
        {"loss": "mae"},
    ),
    "cells": (
        lambda: [Input((None, 16)), RNN([LSTMCell(64), GRUCell(96)]), Dense(16)],
        features(64, 60, 16),
        features(64, 16),
        {},
    ),
    "bidirectional": (
        lambda: [
            Input((None, 32)),
            Bidirectional(LSTM(96, return_sequences=True)),
            Bidirectional(GRU(64, return_sequences=True), merge_mode="sum"),
            Bidirectional(SimpleRNN(64), merge_mode="ave"),
            Dense(8),
        ],
        features(48, 60, 32),
        features(48, 8),
        {},
    ),
    "embedding": (
        lambda: [Embedding(3000, 64), LSTM(128), Dense(5, activation="softmax")],
        labels(3000, 64, 60),
        labels(5, 64),
        {"loss": "sparse_categorical_crossentropy", "metrics": ["accuracy"]},
    ),
    "many classes": (
        lambda: [
            Embedding(90, 48),
            LSTM(64, return_sequences=True),
            Dropout(0.2),
            Dense(90, activation="softmax"),
        ],
        labels(90, 64, 60),
        labels(90, 64, 60),
        {"loss": "sparse_categorical_crossentropy"},
    ),
    "one-hot targets": (
        lambda: [Input((None, 60)), GRU(48, return_sequences=True), Dense(60, activation="gelu"), Dense(60)],
        features(64, 60, 60),
        features(64, 60, 60),
        {"loss": "mse"},
    ),
    "nested": (
        lambda: [
            Input((20, 12, 16)),
            TimeDistributed(Sequential([LSTM(64, return_sequences=True), Flatten()])),
            GRU(64),
            RepeatVector(30),
            GRU(64, return_sequences=True),
            Activation("relu"),
        ],
        features(16, 20, 12, 16),
        features(16, 30, 64),
        {},
    ),
    "zoneout and masks by gate": (
        lambda: [
            Input((None, 48)),
            Masking(7.0),
            LSTM(64, return_sequences=True, recurrent_dropout=0.2, dropout=0.2),
            GRU(64, zoneout=0.1, dropout=0.1),
        ],
        features(64, 60, 48),
        features(64, 64),
        {},
    ),
    "penalties": (
        lambda: [Input((20, 64)), LSTM(256, kernel_regularizer="l2", recurrent_regularizer="l2")],
        features(16, 20, 64),
        features(16, 256),
        {"optimizer": "sgd"},
    ),
    "stateful, frozen": (
        lambda: [
            Input(batch_shape=(32, 40, 64)),
            LSTM(128, stateful=True, return_sequences=True, trainable=False),
            LSTM(96, stateful=True),
        ],
        features(32, 40, 64),
        features(32, 96),
        {},
    ),
    "float64": (
        lambda: [LSTM(64, input_shape=(60, 16), dtype="float64"), Dense(8, dtype="float64")],
        features(32, 60, 16),
        features(32, 8),
        {},
    ),
}
