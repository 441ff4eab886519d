"""The Dockerfiles: linted, a target for each service, and the pins of the rest of the project."""

import pathlib
import re
import subprocess
import sys

import pytest
from conftest import ROOT, SERVICES, ports

DOCKERFILE = ROOT / "deploy/docker/Dockerfile"
DEV = ROOT / "deploy/docker/dev"


@pytest.mark.parametrize("path", [DOCKERFILE, DEV / "Dockerfile"], ids=["images", "dev"])
def test_dockerfile_lints(path):
    linter = pathlib.Path(sys.executable).parent / "hadolint"
    result = subprocess.run([linter, "--no-color", path], capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stdout + result.stderr


def stages():
    return re.findall(r"^FROM (\S+) AS (\S+)$", DOCKERFILE.read_text(), re.M)


def section(name):
    return DOCKERFILE.read_text().split(f" AS {name}\n")[1].split("\nFROM ")[0]


def test_a_target_for_each_service():
    for service in SERVICES:
        [parent] = [parent for parent, name in stages() if name == service]
        assert parent in ("base", "base-with-runtime")
        assert f"EXPOSE {' '.join(map(str, ports(service).values()))}\n" in section(service)
        assert f'CMD ["/usr/local/bin/{service}"]' in section(service)
    assert "USER 65532:65532" in section("base") and "/usr/local/bin/wlp" in section("base")
    assert any(parent.startswith("gcr.io/distroless/") and parent.endswith(":nonroot") for parent, _ in stages())


def test_services_that_run_models_have_onnx_runtime():
    for service in SERVICES:
        [parent] = [parent for parent, name in stages() if name == service]
        loads = "OnnxRuntime::new()" in "".join(path.read_text() for path in (ROOT / "services" / service / "src").rglob("*.rs"))
        assert (parent == "base-with-runtime") == loads, service


def test_toolchain_is_the_pinned_one():
    channel = re.search(r'channel = "([^"]+)"', (ROOT / "rust-toolchain.toml").read_text())[1]
    assert f"FROM rust:{channel}-" in DOCKERFILE.read_text()


def test_onnx_runtime_is_the_pinned_one():
    pins = (ROOT / "deploy/docker/onnxruntime.txt").read_text()
    source = (ROOT / "services/wlp/src/onnxruntime.rs").read_text()
    version = re.search(r'ONNXRUNTIME_CPU_VERSION: &str = "([^"]+)"', (ROOT / "shared/engine/src/lib.rs").read_text())[1]
    assert f"onnxruntime=={version} " in pins
    for digest in re.findall(r"sha256:([0-9a-f]{64})", pins):
        assert digest in source


def test_what_is_copied_from_the_sources_is_not_ignored():
    ignored = set((ROOT / ".dockerignore").read_text().split())
    assert {".git", "target", "secrets", ".env", "deploy/docker/dev/bin", "deploy/kubernetes/dev/secrets"} <= ignored
    assert not ignored & {"Cargo.lock", "proto", "shared", "services", "tests", "deploy", "deploy/policy"}


def test_the_developers_image_runs_the_real_binaries():
    """Compiled on the Debian that runs them, with the ONNX Runtime of the real images, as the same user."""
    text = (DEV / "Dockerfile").read_text()
    assert "FROM scratch AS binaries" in DOCKERFILE.read_text()
    assert "COPY --from=builder /out/bin /" in section("binaries") and "COPY --from=onnxruntime /runtime /onnxruntime" in section("binaries")
    assert "-bookworm AS builder" in DOCKERFILE.read_text() and "FROM debian:12." in text
    assert "USER 65532:65532" in text and "COPY bin/onnxruntime /opt/onnxruntime" in text
    assert "ENV ORT_DYLIB_PATH=/opt/onnxruntime/libonnxruntime.so" in text and "ENV ORT_DYLIB_PATH=/opt/onnxruntime/libonnxruntime.so" in section("base-with-runtime")
