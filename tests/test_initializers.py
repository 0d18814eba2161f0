import numpy as np
import pytest

from timeloom import backend, initializers, layers

RANDOM = [
    initializers.RandomUniform,
    initializers.RandomNormal,
    initializers.TruncatedNormal,
    initializers.VarianceScaling,
    initializers.GlorotUniform,
    initializers.GlorotNormal,
    initializers.HeUniform,
    initializers.HeNormal,
    initializers.LecunUniform,
    initializers.LecunNormal,
    initializers.Orthogonal,
]


@pytest.mark.parametrize("kind", RANDOM, ids=lambda kind: kind.__name__)
def test_seed_gives_the_same_values_at_every_call(kind):
    first, second = kind(seed=3), kind(seed=3)
    values = first((4, 6))
    np.testing.assert_array_equal(values, first((4, 6)))
    np.testing.assert_array_equal(values, second((4, 6)))
    assert not np.array_equal(values, kind(seed=4)((4, 6)))
    assert values.dtype == np.float32
    np.testing.assert_array_equal(values, first((4, 6), "float64").astype(np.float32))


@pytest.mark.parametrize("kind", RANDOM, ids=lambda kind: kind.__name__)
def test_no_seed_differs_between_instances_but_not_between_calls(kind):
    first, second = kind(), kind()
    np.testing.assert_array_equal(first((4, 6)), first((4, 6)))
    assert not np.array_equal(first((4, 6)), second((4, 6)))
    backend.seed_random_generator(5)
    values = kind()((4, 6))
    backend.seed_random_generator(5)
    np.testing.assert_array_equal(values, kind()((4, 6)))


@pytest.mark.parametrize(
    ("kind", "deviation", "limit"),
    [
        ("glorot_uniform", np.sqrt(2 / 500), np.sqrt(6 / 500)),
        ("glorot_normal", np.sqrt(2 / 500), 2 * np.sqrt(2 / 500) / 0.8796),
        ("he_uniform", np.sqrt(2 / 200), np.sqrt(6 / 200)),
        ("he_normal", np.sqrt(2 / 200), 2 * np.sqrt(2 / 200) / 0.8796),
        ("lecun_uniform", np.sqrt(1 / 200), np.sqrt(3 / 200)),
        ("lecun_normal", np.sqrt(1 / 200), 2 * np.sqrt(1 / 200) / 0.8796),
        ("uniform", 0.05 / np.sqrt(3), 0.05),
        ("truncated_normal", 0.05 * 0.8796, 0.1),
    ],
)
def test_distribution_has_its_deviation_and_limit(kind, deviation, limit):
    values = initializers.get(kind)((200, 300), "float64")
    assert abs(values.std() / deviation - 1) < 0.02
    assert abs(values.mean()) < 0.02 * deviation
    assert 0.98 * limit < np.abs(values).max() <= limit * 1.0001


@pytest.mark.parametrize("shape", [(5, 5), (5, 20), (20, 5), (2, 3, 4)])
def test_orthogonal_has_orthonormal_rows_or_columns(shape):
    matrix = initializers.Orthogonal(gain=2.0, seed=1)(shape, "float64").reshape(-1, shape[-1])
    small = matrix @ matrix.T if matrix.shape[0] <= matrix.shape[1] else matrix.T @ matrix
    np.testing.assert_allclose(small, 4 * np.eye(len(small)), atol=1e-12)


def test_get_takes_names_classes_instances_configurations_arrays_and_functions():
    instance = initializers.HeNormal(seed=1)
    assert initializers.get(instance) is instance
    assert initializers.get(None) is None
    for name in ("he_normal", "HeNormal", initializers.he_normal):
        assert isinstance(initializers.get(name), initializers.HeNormal)
    copy = initializers.get(
        initializers.serialize(initializers.VarianceScaling(2.0, "fan_out", "uniform", 7))
    )
    assert copy.get_config() == {"scale": 2.0, "mode": "fan_out", "distribution": "uniform", "seed": 7}
    np.testing.assert_array_equal(initializers.get(np.eye(2))((2, 2)), np.eye(2))
    layer = layers.Dense(2, kernel_initializer=lambda shape, dtype=None: np.full(shape, 3.0, dtype))
    layer.build((None, 2))
    np.testing.assert_array_equal(layer.kernel.numpy(), np.full((2, 2), 3.0))


def test_one_instance_shared_by_two_layers_gives_them_the_same_weights():
    shared = initializers.GlorotUniform()
    first, second = layers.Dense(3, kernel_initializer=shared), layers.Dense(3, kernel_initializer=shared)
    first.build((None, 4))
    second.build((None, 4))
    np.testing.assert_array_equal(first.kernel.numpy(), second.kernel.numpy())


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: initializers.get("nothing"), ValueError, "initializer: expected one of .*, got 'nothing'"),
        (lambda: initializers.get(3), ValueError, "initializer: expected"),
        (lambda: initializers.get("stft"), NotImplementedError, "stft"),
        (lambda: initializers.RandomUniform(seed=1.5), ValueError, "seed: expected"),
        (lambda: initializers.VarianceScaling(-1.0), ValueError, "scale: expected"),
        (lambda: initializers.VarianceScaling(mode="fan"), ValueError, "mode: expected"),
        (lambda: initializers.VarianceScaling(distribution="x"), ValueError, "distribution: expected"),
        (lambda: initializers.RandomNormal(stddev=-1), ValueError, "stddev: expected"),
        (lambda: initializers.Zeros()(3), ValueError, "shape: expected a tuple of sizes, got 3"),
        (lambda: initializers.HeNormal()("ab"), ValueError, "shape: expected a tuple of sizes, got 'ab'"),
        (lambda: initializers.Ones()((2.5, 3)), ValueError, "shape: expected an integer"),
        (lambda: initializers.Orthogonal()((3,)), ValueError, "shape: expected at least two"),
        (lambda: initializers.Identity()((3,)), ValueError, "shape: expected two"),
        (lambda: initializers.Constant([1.0, 2.0])((3,)), ValueError, "value: expected a shape"),
    ],
)
def test_wrong_arguments_are_refused(make, error, words):
    with pytest.raises(error, match=words):
        make()
