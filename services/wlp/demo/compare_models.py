"""Fits every candidate on the same rows, measures it, and writes what was measured and what is only judged as JSON.

usage: compare_models.py SEED OUT.json                                             scikit-learn's own rows, each half
                                                                                   measured by what the other half fits
       compare_models.py SEED OUT.json PIPELINE KEY DATASET_VERSION CANDIDATE...   fitted on the train split of a dataset
                                                                                   version, measured on its validation split

A score is higher is better. Measured ones are the measured number itself (with a minus where less is better); what nobody can
measure here carries "judgement": true and the reason. The file is the evidence of the weighted decision (§4.2), of the baseline
and of the detailed evaluation (§6.1).
"""

import json
import pickle
import sys
import time
import warnings

import numpy as np
import wlp_client
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier

LEVELS = 16
# Single-row requests that are timed, and the requests that the cost of ownership is worked out for.
TIMED = 100
REQUESTS = 100_000


class KernelClassifier:
    """Kernel ridge regression on one-hot labels: the digit with the highest value."""

    def __init__(self, gamma, ridge):
        self.regression = KernelRidge(kernel="rbf", gamma=gamma, alpha=ridge)

    def fit(self, images, digits):
        self.regression.fit(images, 2.0 * np.eye(10)[digits] - 1.0)

    def predict(self, images):
        return self.regression.predict(images).argmax(1)


# name: model by seed, its settings in words, maintainability as judged from the code (0 to 1) and why.
CANDIDATES = {
    "kernel-ridge": (
        lambda seed: KernelClassifier(gamma=0.2, ridge=1e-2),
        "gamma 0.2, ridge 0.01",
        (0.9, "one linear solve, two settings, the same result each time"),
    ),
    "nearest-neighbours": (
        lambda seed: KNeighborsClassifier(3),
        "3 neighbours",
        (0.9, "nothing is trained; an index of rows has to be kept and searched"),
    ),
    "logistic-regression": (
        lambda seed: LogisticRegression(max_iter=2000, random_state=seed),
        "L2, C 1",
        (1.0, "one matrix, one setting"),
    ),
    "random-forest": (
        lambda seed: RandomForestClassifier(100, random_state=seed),
        "100 trees",
        (0.7, "many settings, a result that nobody can read"),
    ),
    "perceptron": (
        lambda seed: MLPClassifier((64,), max_iter=300, random_state=seed),
        "64 hidden units, Adam",
        (0.6, "iterative training that depends on seed, rate and stopping"),
    ),
}
PRIVACY = (1.0, "every candidate runs inside the gateway and sends nothing out; pictures of digits name nobody")


def source_folds(seed):
    """The source in two halves, drawn by the seed within each digit: each is measured by a model that the other one fitted."""
    images, digits = load_digits(return_X_y=True)
    halves = StratifiedKFold(2, shuffle=True, random_state=seed).split(images, digits)
    return [((images[fit], digits[fit]), (images[rest], digits[rest])) for fit, rest in halves]


def dataset_folds(pipeline, key, name):
    """Train and validation split of a dataset version, read through the data-pipeline."""
    from train import read_split
    from wlp.pipeline.v1 import pipeline_pb2_grpc

    reader = pipeline_pb2_grpc.DatasetReadServiceStub(wlp_client.channel(pipeline, key))
    return [(read_split(reader, name, "train"), read_split(reader, name, "validation"))]


def latencies(model, images):
    """Milliseconds of single-row requests."""
    times = []
    for number in range(TIMED):
        row = images[number % len(images)][None, :]
        begun = time.perf_counter()
        model.predict(row)
        times.append(1000.0 * (time.perf_counter() - begun))
    return times


def measure(name, seed, folds):
    make, settings, maintainability = CANDIDATES[name]
    right, rows, fit = 0, 0, 0.0
    for train, validation in folds:
        model, begun = make(seed), time.process_time()
        model.fit(train[0] / LEVELS, train[1])
        fit += (time.process_time() - begun) / len(folds)
        right += int((model.predict(validation[0] / LEVELS) == validation[1]).sum())
        rows += len(validation[1])
    accuracy, begun = right / rows, time.process_time()
    times = latencies(model, folds[-1][1][0] / LEVELS)
    cost = fit + (time.process_time() - begun) / TIMED * REQUESTS
    size = len(pickle.dumps(model))
    latency = float(np.median(times))
    measured = {
        "task-performance": (accuracy, f"accuracy on {rows} rows that the model was not fitted on"),
        "latency": (-latency, f"minus the median milliseconds of {TIMED} single rows"),
        "resource-requirements": (-float(size), "minus the bytes of the fitted model"),
        "cost": (-cost, f"minus the processor seconds of one fit and {REQUESTS} requests; no other cost differs"),
    }
    judged = {"privacy-locality": PRIVACY, "maintainability": maintainability}
    scores = {criterion: {"value": value, "basis": basis, "judgement": False} for criterion, (value, basis) in measured.items()}
    scores |= {criterion: {"value": value, "basis": basis, "judgement": True} for criterion, (value, basis) in judged.items()}
    return {
        "candidate": name,
        "settings": settings,
        "accuracy": accuracy,
        "latency_p50_ms": latency,
        "latency_p95_ms": float(np.quantile(times, 0.95)),
        "size_bytes": size,
        "fit_cpu_s": fit,
        "scores": scores,
    }


def baseline(folds):
    """What always answering the most frequent digit of the fitted rows reaches."""
    right = sum(int((validation[1] == np.bincount(train[1]).argmax()).sum()) for train, validation in folds)
    return {"candidate": "most-frequent-digit", "accuracy": right / sum(len(validation[1]) for _, validation in folds)}


def main():
    seed, out = int(sys.argv[1]), sys.argv[2]
    pipeline, names = sys.argv[3:6], sys.argv[6:] or list(CANDIDATES)
    folds = dataset_folds(*pipeline) if pipeline else source_folds(seed)
    warnings.filterwarnings("ignore", module="sklearn")  # that 300 rounds are not the end is measured, not news
    comparison = {
        "data": pipeline[2] if pipeline else "sklearn.datasets.load_digits",
        "split": "train, validation" if pipeline else "two halves, each measured by what the other fits",
        "seed": seed,
        "sample_size": sum(len(validation[1]) for _, validation in folds),
        "baseline": baseline(folds),
        "candidates": [measure(name, seed, folds) for name in names],
    }
    with open(out, "w") as file:
        json.dump(comparison, file, indent=1)


if __name__ == "__main__":
    wlp_client.main(main)
