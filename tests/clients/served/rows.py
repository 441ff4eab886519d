"""Requests and what comes of them, for every client library of the tritonclient package."""

import numpy as np

LEFT = np.arange(16, dtype=np.int32).reshape(1, 16)
RIGHT = np.ones((1, 16), dtype=np.int32)
SCORES = np.array([[0.1, 0.7, 0.15, 0.05], [2.0, -1.0, 0.0, 9.5]], dtype=np.float32)
# Turns of the model `slow`: no caller waits for their end, they take some milliseconds, they end at once. A model that was
# quick the last time runs where its caller is served, which then hears nothing: some milliseconds go before what is endless.
ENDLESS, LONG, SHORT = (np.array([turns], dtype=np.int64) for turns in (2**40, 20_000, 1))
# Seconds in which a model must be free again: less than the server gives a run by itself.
FREE = 5.0


def tensor(library, name, values, datatype, **options):
    made = library.InferInput(name, list(values.shape), datatype)
    made.set_data_from_numpy(values, **options)
    return made


def pair(library, left=LEFT, right=RIGHT, datatype="INT32", **options):
    return [tensor(library, "INPUT0", left, datatype, **options), tensor(library, "INPUT1", right, datatype, **options)]


def both(library, **options):
    return [library.InferRequestedOutput(name, **options) for name in ("OUTPUT0", "OUTPUT1")]


def sums_hold(answer, left=LEFT, right=RIGHT):
    np.testing.assert_array_equal(answer.as_numpy("OUTPUT0"), left + right)
    np.testing.assert_array_equal(answer.as_numpy("OUTPUT1"), left - right)
    assert answer.as_numpy("OUTPUT0").dtype == left.dtype


def texts(values):
    return np.array([str(value).encode() for value in values.reshape(-1)], dtype=np.object_).reshape(values.shape)


def odd_texts():
    """Texts that a C string or a decoder would not carry."""
    elements = [b"he\x00llo", b"\x00\x01\x02\x03", b"", "é€".encode(), b"\xff\xfe\x80", b"x" * 5000]
    return np.array(elements, dtype=np.object_).reshape(1, 6)


def classes(answer, name="scores"):
    """The elements as lists of text, a list for each row."""
    return [[element.decode() for element in row] for row in np.atleast_2d(answer.as_numpy(name))]


CLASSES = [["0.700000:1:dog", "0.150000:2:owl"], ["9.500000:3", "2.000000:0:cat"]]
