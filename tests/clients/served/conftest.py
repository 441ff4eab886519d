"""Where the server is: `WLP_GRPC` and `WLP_REST` are its addresses, its models are those of models.py."""

import os
import threading

import pytest


@pytest.fixture(scope="session")
def grpc_address():
    return os.environ["WLP_GRPC"]


@pytest.fixture(scope="session")
def rest_address():
    return os.environ["WLP_REST"]


class Answers:
    """What a callback is told, to be waited for."""

    def __init__(self):
        self._told = []
        self._more = threading.Condition()

    def __call__(self, result, error):
        with self._more:
            self._told.append(error if error is not None else result)
            self._more.notify_all()

    def wait(self, count, seconds=60):
        with self._more:
            assert self._more.wait_for(lambda: len(self._told) >= count, seconds), self._told
            return list(self._told)


@pytest.fixture
def answers():
    return Answers()
