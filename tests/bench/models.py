"""Writes the models of the bench: weights are random with a fixed seed, so every machine measures the same.

    mlp.onnx         X [rows, 64] -> 256 -> 256 -> Y [rows, 10]: the server costs more than the model
    resnetish.onnx   X [rows, 3, 64, 64] -> stem, 8 residual blocks -> Y [rows, 100]: the model costs more
    identity.onnx    X [rows, width] -> Y [rows, width]: nothing but the payload

usage: python models.py FOLDER
"""

import math
import pathlib
import sys

import numpy
import onnx
from onnx import TensorProto, helper, numpy_helper

SEED = 20_260_525
OPSET, IR = 17, 8
# output channels and stride of each residual block
BLOCKS = [(32, 1), (32, 1), (64, 2), (64, 1), (128, 2), (128, 1), (256, 2), (256, 1)]


class Graph:
    """A chain of nodes that is being written; each method gives the name of its output."""

    def __init__(self, seed):
        self.random = numpy.random.default_rng(seed)
        self.nodes, self.weights = [], []

    def node(self, kind, *inputs, **attributes):
        name = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], **attributes))
        return name

    def weight(self, shape, scale):
        name = f"w{len(self.weights)}"
        values = self.random.standard_normal(shape) * scale
        self.weights.append(numpy_helper.from_array(values.astype(numpy.float32), name))
        return name

    def dense(self, x, wide, narrow):
        return self.node("Gemm", x, self.weight((wide, narrow), 1 / math.sqrt(wide)), self.weight(narrow, 0.1))

    def convolution(self, x, channels, filters, kernel, stride):
        # half of He's variance: the sums of eight blocks stay small
        scale = math.sqrt(1 / (channels * kernel * kernel))
        weights = self.weight((filters, channels, kernel, kernel), scale)
        bias = self.weight(filters, 0.1)
        return self.node("Conv", x, weights, bias, strides=[stride] * 2, pads=[kernel // 2] * 4)

    def save(self, path, row, answer, last):
        self.nodes.append(helper.make_node("Identity", [last], ["Y"]))
        x = helper.make_tensor_value_info("X", TensorProto.FLOAT, ["rows", *row])
        y = helper.make_tensor_value_info("Y", TensorProto.FLOAT, ["rows", *answer])
        graph = helper.make_graph(self.nodes, path.stem, [x], [y], self.weights)
        opsets = [helper.make_opsetid("", OPSET)]
        model = helper.make_model(graph, producer_name="wlp-bench", opset_imports=opsets, ir_version=IR)
        onnx.checker.check_model(model, full_check=True)
        onnx.save(model, path)
        print(f"{path}: {path.stat().st_size} bytes")


def mlp(path):
    graph = Graph(SEED)
    x = graph.node("Relu", graph.dense("X", 64, 256))
    x = graph.node("Relu", graph.dense(x, 256, 256))
    graph.save(path, [64], [10], graph.dense(x, 256, 10))


def resnetish(path):
    graph = Graph(SEED + 1)
    channels = 32
    x = graph.node("Relu", graph.convolution("X", 3, channels, 7, 2))
    for filters, stride in BLOCKS:
        inner = graph.node("Relu", graph.convolution(x, channels, filters, 3, stride))
        inner = graph.convolution(inner, filters, filters, 3, 1)
        if stride != 1 or channels != filters:
            x = graph.convolution(x, channels, filters, 1, stride)
        x = graph.node("Relu", graph.node("Add", x, inner))
        channels = filters
    x = graph.node("Flatten", graph.node("GlobalAveragePool", x))
    graph.save(path, [3, 64, 64], [100], graph.dense(x, channels, 100))


def identity(path):
    Graph(SEED).save(path, ["width"], ["width"], "X")


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for make in (mlp, resnetish, identity):
        make(folder / f"{make.__name__}.onnx")


if __name__ == "__main__":
    main()
