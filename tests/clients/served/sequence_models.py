"""Models of sequences for the suites: what a control says, a name, a sum that is kept."""

from onnx import TensorProto

IDLE = 3_600_000_000
ROWS = ["rows", 1]


def control(name, kind, values):
    return f'{{ name: "{name}" control [ {{ kind: CONTROL_SEQUENCE_{kind} {values} }} ] }}'


def config(controls, strategy="direct { }", more="", idle=IDLE, tensors=""):
    listed = ",\n        ".join(controls)
    return (f"max_batch_size: 8\n{tensors}sequence_batching {{\n    max_sequence_idle_microseconds: {idle}\n"
            f"    control_input [\n        {listed}\n    ]\n    {more}\n    {strategy}\n}}\n")


def sequences(folder, put, tensor, node):
    """Uses the makers of models.py."""
    start = control("START", "START", "int32_false_true: [ 0, 1 ]")
    ready = control("READY", "READY", "int32_false_true: [ 0, 1 ]")
    end = control("END", "END", "int32_false_true: [ 0, 1 ]")
    number = control("CORRID", "CORRID", "data_type: TYPE_UINT64")
    oldest = "oldest { max_candidate_sequences: 6 preferred_batch_size: [ 2, 4 ] max_queue_delay_microseconds: 500 }"

    def whole(name, datatype="INT32"):
        return tensor(name, datatype, ROWS)

    first = [node("Add", ["INPUT", "START"], ["sum"]), node("Mul", ["sum", "READY"], ["OUTPUT"])]
    for name, idle in (("sequence", IDLE), ("hasty_sequence", 1)):
        put(folder, name, first, [whole("INPUT"), whole("START"), whole("READY")], [whole("OUTPUT")],
            config([start, ready], idle=idle))
    last = [node("Cast", ["CORRID"], ["id"], to=TensorProto.INT32), node("Mul", ["id", "END"], ["ends"]),
            node("Add", ["INPUT", "START"], ["sum"]), node("Add", ["sum", "ends"], ["all"]),
            node("Mul", ["all", "READY"], ["OUTPUT"])]
    inputs = [whole("INPUT"), whole("START"), whole("READY"), whole("END"), whole("CORRID", "UINT64")]
    put(folder, "dyna_sequence", last, inputs, [whole("OUTPUT")], config([start, ready, end, number], oldest))
    state = 'state [ { input_name: "SUM" output_name: "NEXT" data_type: TYPE_INT32 dims: [ 1 ]\n' \
        '        initial_state { name: "zeros" data_type: TYPE_INT32 dims: [ 1 ] zero_data: true } } ]'
    listed = 'input [ { name: "INPUT" data_type: TYPE_INT32 dims: [ 1 ] } ]\n' \
        'output [ { name: "OUTPUT" data_type: TYPE_INT32 dims: [ 1 ] } ]\n'
    sums = [node("Add", ["INPUT", "SUM"], ["NEXT"]), node("Mul", ["NEXT", "READY"], ["OUTPUT"])]
    put(folder, "accumulator", sums, [whole("INPUT"), whole("READY"), whole("SUM")], [whole("OUTPUT"), whole("NEXT")],
        config([ready], more=state, tensors=listed))
    name = control("NAMED", "CORRID", "data_type: TYPE_STRING")
    put(folder, "named_sequence", [node("Identity", ["INPUT"], ["OUTPUT"]), node("Identity", ["NAMED"], ["NAME"])],
        [whole("INPUT"), whole("NAMED", "BYTES")], [whole("OUTPUT"), whole("NAME", "BYTES")], config([name], oldest))
