"""Tests of a model with the services around it, run with pytest: the evidence for gate G1.

WLP_MODEL names the trained file, WLP_DIGEST its digest in the registry, WLP_DATASET the dataset version; WLP_REGISTRY and
WLP_PIPELINE are host:port, WLP_KEY the key of a QA engineer.
"""

import os
import pathlib

import numpy as np
import onnxruntime
import pytest
import wlp_client
from train import read_split
from wlp.pipeline.v1 import pipeline_pb2_grpc
from wlp.registry.v1 import artifact_pb2, artifact_pb2_grpc


@pytest.fixture(scope="module")
def downloaded():
    registry = wlp_client.channel(os.environ["WLP_REGISTRY"], os.environ["WLP_KEY"])
    request = artifact_pb2.DownloadArtifactRequest(digest=os.environ["WLP_DIGEST"])
    answers = artifact_pb2_grpc.ArtifactServiceStub(registry).DownloadArtifact(request, timeout=60)
    return b"".join(answer.chunk for answer in answers)


@pytest.fixture(scope="module")
def rows():
    pipeline = wlp_client.channel(os.environ["WLP_PIPELINE"], os.environ["WLP_KEY"])
    return read_split(pipeline_pb2_grpc.DatasetReadServiceStub(pipeline), os.environ["WLP_DATASET"], "validation")


def test_the_registry_gives_back_the_trained_file(downloaded):
    assert wlp_client.sha256(downloaded) == os.environ["WLP_DIGEST"]
    assert downloaded == pathlib.Path(os.environ["WLP_MODEL"]).read_bytes()


def test_rows_of_the_dataset_version_are_answered(downloaded, rows):
    images, digits = rows
    session = onnxruntime.InferenceSession(downloaded, providers=["CPUExecutionProvider"])
    label, scores = session.run(["label", "scores"], {"pixels": images.astype(np.float32)})
    assert len(label) == len(digits) and scores.shape == (len(digits), 10)
    assert np.isfinite(scores).all()


def test_an_unknown_key_is_refused():
    stub = artifact_pb2_grpc.ArtifactServiceStub(wlp_client.channel(os.environ["WLP_REGISTRY"], "wlp_unknown"))
    with pytest.raises(Exception, match="UNAUTHENTICATED|not known"):
        stub.GetArtifact(artifact_pb2.GetArtifactRequest(digest=os.environ["WLP_DIGEST"]), timeout=60)
