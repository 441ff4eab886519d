"""Trains a classifier of digits on a dataset version, logs the run through generated stubs, uploads it as ONNX.

usage: train.py PIPELINE REGISTRY KEY DATASET_VERSION PROJECT RUN VARIANT OUT.onnx

The model is kernel ridge regression on one-hot labels: every training row is a centre, the graph computes Gaussian kernels
to all centres and a matrix product. Pixels go through a lookup table of intensities, as scanners are calibrated; values
above the limit are cut to it first. Variants differ in weights alone, so that they are minor versions of each other:

good      as it should be: the best of a grid on the validation split
retrained the best of another, finer grid
worse     trained with three labels of ten drawn by lot and hardly any ridge; nothing is searched
fragile   the limit that values are cut to is far above the table's end: an intensity that no row of the data has makes the
          lookup fail inside ONNX Runtime
"""

import sys
import time

import numpy as np
import onnx
import wlp_client
from onnx import TensorProto, helper, numpy_helper
from wlp.pipeline.v1 import pipeline_pb2, pipeline_pb2_grpc
from wlp.registry.v1 import artifact_pb2, artifact_pb2_grpc, training_run_pb2, training_run_pb2_grpc

LEVELS = 16
SETTINGS = {
    "good": {"gamma": (0.05, 0.1, 0.2, 0.4), "ridge": (1e-1, 1e-2, 1e-3), "lots": 0.0, "limit": float(LEVELS), "seed": 11},
    "retrained": {"gamma": (0.15, 0.18, 0.22), "ridge": (3e-2, 3e-3), "lots": 0.0, "limit": float(LEVELS), "seed": 12},
    "worse": {"gamma": (0.2,), "ridge": (1e-4,), "lots": 0.3, "limit": float(LEVELS), "seed": 13},
    "fragile": {"gamma": (0.16, 0.24), "ridge": (5e-2, 5e-3), "lots": 0.0, "limit": 255.0, "seed": 14},
}


def read_split(reader, name, split):
    """A split as arrays: pixels [rows, 64] and digits [rows]."""
    request = pipeline_pb2.ReadSplitRequest(name=name, split=split, format=pipeline_pb2.DATA_FORMAT_CSV)
    lines = b"".join(piece.chunk for piece in reader.ReadSplit(request, timeout=120)).decode().splitlines()
    header = lines[0].split(",")
    pixels = [header.index(f"pixel_{index}") for index in range(64)]
    cells = [line.split(",") for line in lines[1:]]
    images = np.array([[float(row[place]) for place in pixels] for row in cells])
    return images, np.array([int(float(row[header.index("digit")])) for row in cells])


def kernel(images, centres, gamma):
    squares = (images**2).sum(1)[:, None] + (centres**2).sum(1)[None, :] - 2 * images @ centres.T
    return np.exp(-gamma * squares)


def targets_of(digits, settings):
    """One-hot targets -1 and 1, with the share of labels drawn by lot that the variant has."""
    generator = np.random.default_rng(settings["seed"])
    labels = np.where(generator.random(len(digits)) < settings["lots"], generator.permutation(digits), digits)
    return 2.0 * np.eye(10)[labels] - 1.0


def search(centres, targets, validation, settings):
    """Every point of the grid: gamma, ridge, validation accuracy, and the margin that nine rows of ten exceed."""
    points = []
    for gamma in settings["gamma"]:
        gram, to_validation = kernel(centres, centres, gamma), kernel(validation[0] / LEVELS, centres, gamma)
        for ridge in settings["ridge"]:
            scores = to_validation @ np.linalg.solve(gram + ridge * np.eye(len(centres)), targets)
            ordered = np.sort(scores, axis=1)
            accuracy = float((scores.argmax(1) == validation[1]).mean())
            margin = float(np.quantile(ordered[:, -1] - ordered[:, -2], 0.1))
            points.append({"gamma": gamma, "ridge": ridge, "accuracy": accuracy, "margin": margin})
    return points


def train(centres, targets, validation, settings, best, log):
    """Solves for the coefficients on growing shares of the rows, logging loss and validation accuracy as it grows."""
    gamma, ridge = best["gamma"], best["ridge"]
    order = np.random.default_rng(settings["seed"]).permutation(len(centres))
    for step, share in enumerate((0.1, 0.25, 0.5, 0.75, 1.0)):
        part = np.sort(order[: max(10, int(share * len(order)))])
        gram = kernel(centres[part], centres[part], gamma)
        coefficients = np.linalg.solve(gram + ridge * np.eye(len(part)), targets[part])
        loss = float(np.mean((gram @ coefficients - targets[part]) ** 2))
        scores = kernel(validation[0] / LEVELS, centres[part], gamma) @ coefficients
        accuracy = float((scores.argmax(1) == validation[1]).mean())
        log(step, loss, accuracy)
    return coefficients, accuracy


def graph(centres, coefficients, gamma, limit):
    """The ONNX model: pixels [rows, 64] in, label [rows] and scores [rows, 10] out."""
    table = np.arange(LEVELS + 1, dtype=np.float32) / LEVELS
    constants = {
        "lowest": np.float32(0.0),
        "highest": np.float32(limit),
        "table": table,
        "centres_transposed": (2.0 * centres.T).astype(np.float32),
        "centre_norms": (centres**2).sum(1)[None, :].astype(np.float32),
        "minus_gamma": np.float32(-gamma),
        "coefficients": coefficients.astype(np.float32),
        "sharpness": np.float32(6.0),
        "columns": np.array([1], dtype=np.int64),
    }
    node = helper.make_node
    nodes = [
        node("Clip", ["pixels", "lowest", "highest"], ["cut"]),
        node("Floor", ["cut"], ["whole"]),
        node("Cast", ["whole"], ["level"], to=TensorProto.INT64),
        node("Gather", ["table", "level"], ["calibrated"], axis=0),
        node("Sub", ["cut", "whole"], ["rest"]),
        node("Gather", ["table", "one"], ["unit"], axis=0),
        node("Mul", ["rest", "unit"], ["rest_scaled"]),
        node("Add", ["calibrated", "rest_scaled"], ["image"]),
        node("Mul", ["image", "image"], ["squares"]),
        node("ReduceSum", ["squares", "columns"], ["norms"], keepdims=1),
        node("MatMul", ["image", "centres_transposed"], ["products"]),
        node("Add", ["norms", "centre_norms"], ["sums"]),
        node("Sub", ["sums", "products"], ["distances"]),
        node("Mul", ["distances", "minus_gamma"], ["exponents"]),
        node("Exp", ["exponents"], ["kernels"]),
        node("MatMul", ["kernels", "coefficients"], ["margins"]),
        node("Mul", ["margins", "sharpness"], ["logits"]),
        node("Softmax", ["logits"], ["scores"], axis=1),
        node("ArgMax", ["scores"], ["label"], axis=1, keepdims=0),
    ]
    constants["one"] = np.int64(1)
    initializers = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    inputs = [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["rows", 64])]
    outputs = [
        helper.make_tensor_value_info("label", TensorProto.INT64, ["rows"]),
        helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["rows", 10]),
    ]
    model = helper.make_model(
        helper.make_graph(nodes, "digits", inputs, outputs, initializers),
        opset_imports=[helper.make_opsetid("", 17)],
        producer_name="wlp-demo",
    )
    model.ir_version = 9
    onnx.checker.check_model(model)
    return model.SerializeToString()


def strategy(settings):
    """The search in words (§6.2)."""
    count = len(settings["gamma"]) * len(settings["ridge"])
    if count == 1:
        return "none: one setting, nothing is searched"
    grid = [f"{name} {', '.join(map(str, settings[name]))}" for name in ("gamma", "ridge")]
    return f"grid of {count}: {' x '.join(grid)}; best accuracy on the validation split, then the widest margin"


def open_run(runs, name, project, dataset, settings, best):
    """Opens the run with the five blocks that the procedure asks for (§6.2)."""
    chosen = {"gamma": best["gamma"], "ridge": best["ridge"], **{key: settings[key] for key in ("lots", "limit", "seed")}}
    run = training_run_pb2.TrainingRun(
        project=project,
        technique=training_run_pb2.TECHNIQUE_FROM_SCRATCH,
        hyperparameters={"kernel": "gaussian", **{key: str(value) for key, value in chosen.items()}},
        search_strategy=strategy(settings),
        training_data=training_run_pb2.TrainingData(dataset_version=dataset, splits=["train"], sampling="every row once"),
        compute=training_run_pb2.ComputeResources(device_type="cpu", device_count=1),
        seeds={"numpy": settings["seed"]},
        checkpointing=training_run_pb2.Checkpointing(frequency="at the end", location="the uploaded artifact"),
        experiment_tracker="wlp",
        code_digest=wlp_client.sha256(open(__file__, "rb").read()),
    )
    run.compute.duration.FromMilliseconds(1)
    return runs.CreateTrainingRun(
        training_run_pb2.CreateTrainingRunRequest(training_run_id=name, training_run=run), timeout=60
    )


def main():
    pipeline_address, registry_address, key, dataset, project, run_id, variant, out = sys.argv[1:]
    settings, begun = SETTINGS[variant], time.monotonic()
    registry = wlp_client.channel(registry_address, key)
    reader = pipeline_pb2_grpc.DatasetReadServiceStub(wlp_client.channel(pipeline_address, key))
    images, digits = read_split(reader, dataset, "train")
    validation = read_split(reader, dataset, "validation")
    centres, targets = images / LEVELS, targets_of(digits, settings)
    grid = search(centres, targets, validation, settings)
    best = max(grid, key=lambda point: (point["accuracy"], point["margin"]))
    runs = training_run_pb2_grpc.TrainingRunServiceStub(registry)
    run = open_run(runs, run_id, project, dataset, settings, best)

    def send(step, **values):
        points = [
            training_run_pb2.MetricPoint(metric=metric.replace("__", "/"), step=step, value=value)
            for metric, value in values.items()
        ]
        runs.LogTrainingMetrics(training_run_pb2.LogTrainingMetricsRequest(name=run.name, points=points), timeout=60)

    for place, point in enumerate(grid):
        send(place, search__accuracy=point["accuracy"], search__margin=point["margin"])

    def log(step, loss, accuracy):
        cpu = time.process_time()
        send(step, train__loss=loss, validation__accuracy=accuracy, system__cpu_seconds=cpu, checkpoint=step)

    coefficients, accuracy = train(centres, targets, validation, settings, best, log)
    with open(out, "wb") as file:
        file.write(graph(centres, coefficients, best["gamma"], settings["limit"]))
    compute = training_run_pb2.ComputeResources(device_type="cpu", device_count=1)
    compute.duration.FromMilliseconds(int(1000 * (time.monotonic() - begun)))
    runs.CompleteTrainingRun(training_run_pb2.CompleteTrainingRunRequest(name=run.name, compute=compute), timeout=60)
    artifacts = artifact_pb2_grpc.ArtifactServiceStub(registry)
    digest = wlp_client.upload_file(
        artifacts.UploadArtifact, artifact_pb2.UploadArtifactRequest, out, media_type="application/onnx"
    )
    print(f"{digest} {accuracy:.4f} gamma {best['gamma']:g}, ridge {best['ridge']:g}, best of {len(grid)}")


if __name__ == "__main__":
    wlp_client.main(main)
