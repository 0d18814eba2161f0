import numpy as np
import pytest

from timeloom import GradientTape, backend
from timeloom.data import Vocabulary
from timeloom.examples import seq2seq
from timeloom.losses import SparseCategoricalCrossentropy
from timeloom.utils import set_random_seed


@pytest.fixture
def translator():
    set_random_seed(3)
    model = seq2seq.Translator(symbols=6, answer_length=4, units=8)
    model.compile("adam", SparseCategoricalCrossentropy(from_logits=True))
    return model


QUESTIONS = np.array([[1, 2, 3], [4, 5, 0]], np.int32)
ANSWERS = np.array([[3, 2, 1, 0], [5, 4, 0, 0]], np.int32)


def test_tasks_answer_questions():
    assert seq2seq.TASKS["reverse"].answer("kite") == "etik"
    assert seq2seq.TASKS["add"].answer("95+7") == "102"


@pytest.mark.parametrize("name", sorted(seq2seq.TASKS))
def test_make_pairs_are_different_and_within_the_symbols(name):
    task = seq2seq.TASKS[name]
    pairs = seq2seq.make_pairs(task, 2, 200, np.random.default_rng(0))
    questions = [question for question, _ in pairs]
    assert len(set(questions)) == len(pairs) == 200
    assert all(task.answer(question) == answer for question, answer in pairs)
    assert set("".join(questions)) <= set(task.symbols)
    assert {len(part) for question in questions for part in question.split("+")} == {1, 2}


def test_make_pairs_ends_when_there_are_no_more():
    pairs = seq2seq.make_pairs(seq2seq.TASKS["reverse"], 1, 1000, np.random.default_rng(0))
    assert sorted(pairs) == [(letter, letter) for letter in seq2seq.TASKS["reverse"].symbols]


def test_decode_undoes_encode():
    vocabulary = Vocabulary("_abc")
    texts = ["abc", "", "cb"]
    codes = seq2seq.encode(vocabulary, texts, 4)
    assert codes.tolist() == [[1, 2, 3, 0], [0, 0, 0, 0], [3, 2, 0, 0]]
    assert seq2seq.decode(vocabulary, codes) == texts


def test_gradient_reaches_the_encoder_through_the_states(monkeypatch):
    """Each weight of the encoder, whose outputs are dropped, against a difference of losses."""
    monkeypatch.setattr(backend, "_floatx", backend.floatx())  # restored at the end
    backend.set_floatx("float64")
    set_random_seed(3)
    translator = seq2seq.Translator(symbols=6, answer_length=4, units=8)
    translator.compile("adam", SparseCategoricalCrossentropy(from_logits=True))

    def loss():
        return translator.compute_loss(QUESTIONS, ANSWERS, translator.teach(QUESTIONS, ANSWERS))

    translator.train_on_batch(QUESTIONS, ANSWERS)
    weights = translator.encoder.trainable_weights
    with GradientTape() as tape:
        recorded = loss()
    for weight, gradient in zip(weights, tape.gradient(recorded, weights), strict=True):
        start = weight.numpy()
        direction = np.sign(gradient)
        slope = np.abs(gradient).sum()
        assert slope > 1e-4
        step = 1e-5
        sides = []
        for sign in (1, -1):
            weight.assign(start + sign * step * direction)
            sides.append(float(loss()))
        weight.assign(start)
        # The losses near 2 are rounded by 2e-16, so the quotient by about 2e-11.
        np.testing.assert_allclose((sides[0] - sides[1]) / (2 * step), slope, rtol=1e-5)


def test_blanks_behind_a_question_change_nothing(translator):
    longer = np.pad(QUESTIONS, ((0, 0), (0, 5)))
    np.testing.assert_array_equal(
        translator.predict(longer, verbose=0), translator.predict(QUESTIONS, verbose=0)
    )


def test_training_changes_the_encoder(translator):
    translator.predict(QUESTIONS, verbose=0)
    before = translator.encoder.get_weights()
    translator.fit(QUESTIONS, ANSWERS, verbose=0)
    assert all((new != old).any() for new, old in zip(translator.encoder.get_weights(), before, strict=True))


def test_answers_are_made_from_own_symbols(translator):
    """What call() writes is what teach() gives when its own symbols are the ones taught."""
    logits = translator.predict(QUESTIONS, verbose=0)
    own = logits.argmax(axis=-1)
    taught = translator.teach(QUESTIONS, own)
    # One call of many timesteps and many calls of one: the order of summation is the same.
    np.testing.assert_allclose(taught, logits, rtol=1e-5, atol=1e-6)
    other = translator.teach(QUESTIONS, (own + 1) % 6)
    np.testing.assert_array_equal(other[:, 0], taught[:, 0])
    assert np.abs(other[:, 1:] - taught[:, 1:]).max() > 1e-3


def test_teaching_shows_no_symbol_before_its_time(translator):
    logits = translator.teach(QUESTIONS, ANSWERS)
    later = ANSWERS.copy()
    later[:, 2:] = 5
    np.testing.assert_array_equal(translator.teach(QUESTIONS, later)[:, :3], logits[:, :3])


def test_history_has_the_mean_loss_of_the_epoch(translator):
    translator.optimizer.learning_rate = 0.0
    history = translator.fit(QUESTIONS, ANSWERS, batch_size=1, epochs=2, verbose=0).history
    expected = translator.compute_loss(QUESTIONS, ANSWERS, translator.teach(QUESTIONS, ANSWERS))
    np.testing.assert_allclose(history["loss"], float(expected), rtol=1e-5)


def test_report_tells_right_from_wrong(capsys):
    seq2seq.report([("1+1", "2"), ("8+8", "16")], ["2", "17"])
    said = capsys.readouterr().out
    assert "1 of 2 held-out answers are right, such as\n  1+1 -> 2\n" in said
    assert "  8+8 -> 17   expected 16" in said
    assert "Exact match 50.0%" in said


@pytest.mark.parametrize("task", sorted(seq2seq.TASKS))
def test_example_runs(task, capsys):
    seq2seq.main(["--task", task, "--size", "2", "--samples", "60", "--epochs", "1", "--units", "8"])
    said = capsys.readouterr().out
    assert "54 questions to train on, 6 held out, such as" in said
    assert "epoch   1  loss" in said
    assert "Exact match" in said


def test_example_learns_to_reverse(capsys):
    seq2seq.main(["--size", "3", "--samples", "4000", "--units", "64", "--epochs", "10"])
    said = capsys.readouterr().out
    share = float(said.split("Exact match ")[1].split("%")[0])
    assert share >= 90


@pytest.mark.parametrize(
    "arguments",
    [["--task", "sort"], ["--size", "0"], ["--size", "18"], ["--samples", "5"], ["--epochs", "0"]],
)
def test_example_refuses_arguments(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        seq2seq.main(arguments)
    assert caught.value.code == 2
    assert "error: " in capsys.readouterr().err
