"""Generates stubs from proto/, registers a data source, reads it back, watches the audit log, and infers.

usage: stubs.py PROTO_FOLDER REGISTRY GATEWAY KEYS.json ENDPOINT
"""

import importlib.resources
import json
import pathlib
import struct
import sys
import tempfile

import grpc
from grpc_tools import protoc


def generate(protos, out):
    files = sorted(str(path) for path in pathlib.Path(protos).rglob("*.proto"))
    well_known = importlib.resources.files("grpc_tools") / "_proto"
    arguments = ["protoc", f"-I{protos}", f"-I{well_known}", f"--python_out={out}", f"--grpc_python_out={out}", *files]
    assert protoc.main(arguments) == 0, "protoc failed"
    sys.path.insert(0, out)


def main():
    protos, registry, gateway, keys, endpoint = sys.argv[1:]
    keys = json.loads(keys)
    with tempfile.TemporaryDirectory() as out:
        generate(protos, out)
        talk(registry, gateway, keys, endpoint)


def talk(registry, gateway, keys, endpoint):
    from inference import grpc_service_pb2, grpc_service_pb2_grpc
    from wlp.registry.v1 import audit_pb2, audit_pb2_grpc, data_source_pb2, data_source_pb2_grpc

    def of(who):
        return (("authorization", f"Bearer {keys[who]}"),)

    channel = grpc.insecure_channel(registry)
    sources = data_source_pb2_grpc.DataSourceServiceStub(channel)
    source = data_source_pb2.DataSource(
        display_name="From Python", kind=data_source_pb2.SOURCE_KIND_INTERNAL, origin="a stub",
        considerations={"access-rights": "own", "quality": "good"},
    )
    request = data_source_pb2.CreateDataSourceRequest(data_source_id="from-python", data_source=source)
    made = sources.CreateDataSource(request, metadata=of("data-engineer"))
    read = sources.GetDataSource(data_source_pb2.GetDataSourceRequest(name=made.name), metadata=of("client"))
    assert read == made
    try:
        sources.CreateDataSource(request, metadata=of("client"))
        raise AssertionError("a client registered a source")
    except grpc.RpcError as refusal:
        assert refusal.code() == grpc.StatusCode.PERMISSION_DENIED, refusal
    watch = audit_pb2_grpc.AuditServiceStub(channel).Watch(
        audit_pb2.WatchRequest(from_start=True, subject_prefix=made.name), metadata=of("auditor"), timeout=20
    )
    assert next(watch).principal == "data-engineer"
    watch.cancel()

    inference = grpc_service_pb2_grpc.GRPCInferenceServiceStub(grpc.insecure_channel(gateway))
    tensor = grpc_service_pb2.ModelInferRequest.InferInputTensor(name="x", datatype="FP32", shape=[1, 4])
    answer = inference.ModelInfer(
        grpc_service_pb2.ModelInferRequest(
            model_name=endpoint, inputs=[tensor], raw_input_contents=[struct.pack("<4f", 0.5, 0.5, 0.5, 0.5)]
        ),
        metadata=of("client"),
    )
    label = struct.unpack("<q", answer.raw_output_contents[0])[0]
    print(json.dumps({"label": label, "version": answer.model_version}))


if __name__ == "__main__":
    main()
