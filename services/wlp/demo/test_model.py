"""Tests of a model file by itself, run with pytest: the evidence for gate G1. The file is named by WLP_MODEL."""

import os

import numpy as np
import onnxruntime
import pytest
from sklearn.datasets import load_digits


@pytest.fixture(scope="module")
def session():
    return onnxruntime.InferenceSession(os.environ["WLP_MODEL"], providers=["CPUExecutionProvider"])


@pytest.fixture(scope="module")
def images():
    return load_digits(return_X_y=True)[0].astype(np.float32)


def test_signature(session):
    assert [(put.name, put.type, put.shape) for put in session.get_inputs()] == [("pixels", "tensor(float)", ["rows", 64])]
    assert [put.name for put in session.get_outputs()] == ["label", "scores"]


def test_scores_are_shares_of_one(session, images):
    scores = session.run(["scores"], {"pixels": images[:100]})[0]
    assert np.allclose(scores.sum(axis=1), 1.0, atol=1e-5) and (scores >= 0).all()


def test_label_is_the_best_score(session, images):
    label, scores = session.run(["label", "scores"], {"pixels": images[:100]})
    assert (label == scores.argmax(axis=1)).all()


def test_a_batch_answers_as_single_rows_do(session, images):
    together = session.run(["label"], {"pixels": images[:16]})[0]
    alone = [session.run(["label"], {"pixels": images[row : row + 1]})[0][0] for row in range(16)]
    assert together.tolist() == alone


def test_the_same_input_gives_the_same_answer(session, images):
    first, second = (session.run(["scores"], {"pixels": images[:8]})[0] for _ in range(2))
    assert (first == second).all()


@pytest.mark.parametrize("level", [0.0, 8.0, 16.0])
def test_flat_images_are_answered(session, level):
    label = session.run(["label"], {"pixels": np.full((1, 64), level, dtype=np.float32)})[0]
    assert 0 <= label[0] <= 9


def test_a_wrong_shape_is_refused(session):
    with pytest.raises(Exception):
        session.run(["label"], {"pixels": np.zeros((1, 63), dtype=np.float32)})
