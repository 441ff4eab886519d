"""Makes a model repository for the suites of client programs: small ONNX models with their configurations.

usage: models.py FOLDER
"""

import sys
from pathlib import Path

import onnx
from onnx import TensorProto, helper

from sequence_models import sequences

OPSET = 17
IR_VERSION = 8

# Every data type of the protocol as ONNX has it.
TYPES = {
    "BOOL": TensorProto.BOOL,
    "UINT8": TensorProto.UINT8,
    "UINT16": TensorProto.UINT16,
    "UINT32": TensorProto.UINT32,
    "UINT64": TensorProto.UINT64,
    "INT8": TensorProto.INT8,
    "INT16": TensorProto.INT16,
    "INT32": TensorProto.INT32,
    "INT64": TensorProto.INT64,
    "FP16": TensorProto.FLOAT16,
    "BF16": TensorProto.BFLOAT16,
    "FP32": TensorProto.FLOAT,
    "FP64": TensorProto.DOUBLE,
    "BYTES": TensorProto.STRING,
}
LABELS = ["cat", "dog", "owl"]


def tensor(name, datatype, shape):
    return helper.make_tensor_value_info(name, TYPES[datatype], shape)


def node(operator, inputs, outputs, **attributes):
    return helper.make_node(operator, inputs, outputs, **attributes)


def put(folder, name, nodes, inputs, outputs, config="", initializers=(), versions=("1",), files=()):
    graph = helper.make_graph(nodes, name, inputs, outputs, list(initializers))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    onnx.checker.check_model(model)
    for version in versions:
        (folder / name / version).mkdir(parents=True)
        onnx.save(model, folder / name / version / "model.onnx")
    if config:
        (folder / name / "config.pbtxt").write_text(config)
    for file, text in files:
        (folder / name / file).write_text(text)


def sums(folder):
    """OUTPUT0 is the sum of two rows of 16, OUTPUT1 their difference: numbers, small numbers, and numbers as text."""
    rows = ["rows", 16]

    def whole(name, datatype, before, after, config="max_batch_size: 8\n", versions=("1",)):
        inputs = [tensor("INPUT0", datatype, rows), tensor("INPUT1", datatype, rows)]
        outputs = [tensor("OUTPUT0", datatype, rows), tensor("OUTPUT1", datatype, rows)]
        work = [node("Add", ["a", "b"], ["sum"]), node("Sub", ["a", "b"], ["difference"])]
        put(folder, name, before + work + after, inputs, outputs, config, versions=versions)

    def cast(pairs, datatype):
        return [node("Cast", [source], [target], to=TYPES[datatype]) for source, target in pairs]

    named = [("INPUT0", "a"), ("INPUT1", "b")]
    made = [("sum", "OUTPUT0"), ("difference", "OUTPUT1")]
    same = [node("Identity", [source], [target]) for source, target in named]
    last = [node("Identity", [source], [target]) for source, target in made]
    versions = "max_batch_size: 8\ndynamic_batching { }\nversion_policy { all { } }\n"
    whole("simple", "INT32", same, last, versions, ("1", "2"))
    whole("simple_int8", "INT8", cast(named, "INT32"), cast(made, "INT8"))
    whole("simple_string", "BYTES", cast(named, "INT32"), cast(made, "BYTES"))


def identities(folder):
    """Texts as they come, and one model that gives back a tensor of every data type."""
    shape = ["rows", "columns"]
    put(folder, "simple_identity", [node("Identity", ["INPUT0"], ["OUTPUT0"])],
        [tensor("INPUT0", "BYTES", shape)], [tensor("OUTPUT0", "BYTES", shape)], "max_batch_size: 8\n")
    put(folder, "types", [node("Identity", [f"in_{name}"], [f"out_{name}"]) for name in TYPES],
        [tensor(f"in_{name}", name, ["n"]) for name in TYPES],
        [tensor(f"out_{name}", name, ["n"]) for name in TYPES],
        'backend: "onnxruntime"\ninstance_group [ { kind: KIND_CPU count: 2 } ]\n')
    for name in TYPES:
        put(folder, f"type_{name}", [node("Identity", ["x"], ["y"])],
            [tensor("x", name, ["rows", 2])], [tensor("y", name, ["rows", 2])])


def classifiers(folder):
    """Scores as they come, with names of the first three classes; one takes rows, the other a vector."""
    labels = [("labels.txt", "".join(f"{label}\n" for label in LABELS))]

    def made(name, shape, rows):
        config = f'max_batch_size: {rows}\noutput [ {{ name: "scores" label_filename: "labels.txt" ' \
            f"data_type: TYPE_FP32 dims: [ 4 ] }} ]\ninput [ {{ name: \"x\" data_type: TYPE_FP32 dims: [ 4 ] }} ]\n"
        put(folder, name, [node("Identity", ["x"], ["scores"])],
            [tensor("x", "FP32", shape)], [tensor("scores", "FP32", shape)], config, files=labels)

    made("classifier", ["rows", 4], 8)
    made("vector", [4], 0)


def trouble(folder):
    """A model that takes as long as it is told, and one that fails for what is no place in its table of three."""
    body = helper.make_graph(
        [node("Identity", ["go"], ["go_on"]), node("Add", ["value", "value"], ["twice"])], "body",
        [helper.make_tensor_value_info("turn", TensorProto.INT64, []),
         helper.make_tensor_value_info("go", TensorProto.BOOL, []),
         helper.make_tensor_value_info("value", TensorProto.FLOAT, [1])],
        [helper.make_tensor_value_info("go_on", TensorProto.BOOL, []),
         helper.make_tensor_value_info("twice", TensorProto.FLOAT, [1])])
    always = helper.make_tensor("always", TensorProto.BOOL, [], [True])
    start = helper.make_tensor("start", TensorProto.FLOAT, [1], [0.0])
    put(folder, "slow",
        [node("Squeeze", ["turns"], ["count"]), node("Loop", ["count", "always", "start"], ["y"], body=body)],
        [tensor("turns", "INT64", [1])], [tensor("y", "FP32", [1])], initializers=[always, start])
    table = helper.make_tensor("table", TensorProto.FLOAT, [3], [1.0, 2.0, 3.0])
    put(folder, "table", [node("Gather", ["table", "place"], ["value"])],
        [tensor("place", "INT64", ["n"])], [tensor("value", "FP32", ["n"])], initializers=[table])


def main(folder):
    for make in (sums, identities, classifiers, trouble):
        make(Path(folder))
    sequences(Path(folder), put, tensor, node)


if __name__ == "__main__":
    main(sys.argv[1])
