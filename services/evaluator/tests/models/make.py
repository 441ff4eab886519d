"""Makes the small models of this folder: exports whose outputs and inputs are shaped as common exporters shape them.

    python make.py    needs onnx, scikit-learn, skl2onnx
"""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from skl2onnx import to_onnx
from sklearn.linear_model import LogisticRegression

OPSETS = [helper.make_opsetid("", 15), helper.make_opsetid("ai.onnx.ml", 3)]
FLOAT, STRING = TensorProto.FLOAT, TensorProto.STRING


def save(name, nodes, inputs, outputs, constants):
    graph = helper.make_graph(nodes, name, inputs, outputs, [numpy_helper.from_array(v, k) for k, v in constants.items()])
    model = helper.make_model(graph, opset_imports=OPSETS, ir_version=8, producer_name="wlp-tests")
    onnx.checker.check_model(model)
    onnx.save(model, f"{name}.onnx")


def value(name, kind, *shape):
    return helper.make_tensor_value_info(name, kind, list(shape))


def zipmap():
    """A classifier as skl2onnx exports it by default: a label and a sequence of maps from label to probability."""
    rows = np.random.default_rng(1).normal(size=(400, 2)).astype(np.float32)
    labels = np.where(rows[:, 0] + 0.3 * rows[:, 1] > 0, "yes", "no")
    model = to_onnx(LogisticRegression().fit(rows, labels), rows[:1], target_opset={"": 15, "ai.onnx.ml": 3})
    onnx.save(model, "zipmap.onnx")


def one_logit():
    """A binary model as PyTorch exports it: one logit, 4a - 1, whose cut is 0."""
    nodes = [helper.make_node("Gemm", ["x", "weight", "bias"], ["logit"])]
    constants = {"weight": np.array([[4.0], [0.0]], np.float32), "bias": np.array([-1.0], np.float32)}
    save("one_logit", nodes, [value("x", FLOAT, "n", 2)], [value("logit", FLOAT, "n", 1)], constants)


def two_inputs():
    """Numbers and categories in a tensor each; a category that is not known ends the run. Two logits."""
    codes = helper.make_node(
        "LabelEncoder", ["cat"], ["codes"], domain="ai.onnx.ml",
        keys_strings=["?", "clerk", "smith", "north", "south"], values_floats=[0.5, 0.0, 1.0, 0.0, 0.0],
    )
    nodes = [
        codes,
        helper.make_node("Concat", ["num", "codes"], ["row"], axis=1),
        helper.make_node("Gemm", ["row", "weight", "bias"], ["logits"]),
    ]
    weight = np.array([[0, 2], [0, 0], [0, 3], [0, 0]], np.float32)
    inputs = [value("num", FLOAT, "n", 2), value("cat", STRING, "n", 2)]
    constants = {"weight": weight, "bias": np.array([0.0, -1.5], np.float32)}
    save("two_inputs", nodes, inputs, [value("logits", FLOAT, "n", 2)], constants)


zipmap()
one_logit()
two_inputs()
