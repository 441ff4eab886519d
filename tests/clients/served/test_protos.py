"""The contract of this repository against the descriptors inside the tritonclient wheel: whatever a client's stubs know is
here under the same number, type and name."""

import os
import tempfile
from pathlib import Path

import pytest
from google.protobuf import descriptor_pb2
from grpc_tools import protoc
from tritonclient.grpc import model_config_pb2, service_pb2, service_pb2_grpc

Field = descriptor_pb2.FieldDescriptorProto


def published():
    files = []
    for module in (service_pb2, model_config_pb2):
        files.append(descriptor_pb2.FileDescriptorProto())
        module.DESCRIPTOR.CopyToProto(files[-1])
    return files


def own():
    protos = Path(os.environ["WLP_PROTOS"])
    sources = sorted(str(path.relative_to(protos)) for path in (protos / "inference").rglob("*.proto"))
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "set"
        wrong = protoc.main(["protoc", f"-I{protos}", "--include_imports", f"--descriptor_set_out={out}", *sources])
        assert wrong == 0, sources
        every = descriptor_pb2.FileDescriptorSet.FromString(out.read_bytes()).file
    return [file for file in every if file.package == "inference"]


def tree(files):
    """{full name: descriptor} of all messages and enums, and {service: {method: descriptor}}."""
    messages, enums, services = {}, {}, {}

    def walk(prefix, message):
        name = f"{prefix}.{message.name}"
        messages[name] = message
        for inner in message.nested_type:
            walk(name, inner)
        enums.update({f"{name}.{enum.name}": enum for enum in message.enum_type})

    for file in files:
        for message in file.message_type:
            walk(file.package, message)
        enums.update({f"{file.package}.{enum.name}": enum for enum in file.enum_type})
        for service in file.service:
            services[f"{file.package}.{service.name}"] = {method.name: method for method in service.method}
    return messages, enums, services


def shape(message, field):
    """What a field is on the wire, and how it is called."""
    group = message.oneof_decl[field.oneof_index].name if field.HasField("oneof_index") and not field.proto3_optional else ""
    return field.name, Field.Type.Name(field.type), Field.Label.Name(field.label), field.type_name, group


THEIRS = tree(published())


@pytest.fixture(scope="module")
def ours():
    return tree(own())


def test_every_message_and_field_is_here(ours):
    wrong = []
    for name, message in THEIRS[0].items():
        here = ours[0].get(name)
        if here is None:
            wrong.append(f"{name} is missing")
            continue
        fields = {field.number: shape(here, field) for field in here.field}
        for field in message.field:
            if fields.get(field.number) != shape(message, field):
                wrong.append(f"{name}.{field.name} = {field.number}: {shape(message, field)}, here {fields.get(field.number)}")
    assert len(THEIRS[0]) > 80 and not wrong, "\n".join(wrong)


def test_every_enum_and_value_is_here(ours):
    wrong = []
    for name, enum in THEIRS[1].items():
        here = {(value.name, value.number) for value in ours[1][name].value} if name in ours[1] else set()
        wrong += [f"{name}.{value.name}" for value in enum.value if (value.name, value.number) not in here]
    assert len(THEIRS[1]) > 5 and not wrong, wrong


def test_every_method_is_here(ours):
    (service,) = THEIRS[2]
    methods = THEIRS[2][service]
    assert service == "inference.GRPCInferenceService" and "ModelStreamInfer" in methods
    assert ours[2][service].keys() >= methods.keys()
    for name, method in methods.items():
        here = ours[2][service][name]
        for part in ("input_type", "output_type", "client_streaming", "server_streaming"):
            assert getattr(here, part) == getattr(method, part), (name, part)
    assert hasattr(service_pb2_grpc, "GRPCInferenceServiceStub")
