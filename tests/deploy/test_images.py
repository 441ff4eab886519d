"""The Dockerfile and the Tiltfile: linted, parsed, and naming what exists."""

import os
import pathlib
import re
import subprocess
import sys

import starlark
from conftest import ROOT, SERVICES

DOCKERFILE = ROOT / "deploy/docker/Dockerfile"


def test_dockerfile_lints():
    linter = pathlib.Path(sys.executable).parent / "hadolint"
    result = subprocess.run([linter, "--no-color", DOCKERFILE], capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stdout + result.stderr


def test_a_target_for_each_service():
    text = DOCKERFILE.read_text()
    stages = re.findall(r"^FROM (\S+) AS (\S+)$", text, re.M)
    for service, (rpc, metrics, _) in SERVICES.items():
        [parent] = [parent for parent, name in stages if name == service]
        assert parent in ("base", "base-with-runtime")
        section = text.split(f" AS {service}\n")[1].split("\nFROM ")[0]
        assert f"EXPOSE {rpc} {metrics}" in section
        assert f'CMD ["/usr/local/bin/{service}"]' in section
    base = text.split(" AS base\n")[1].split("\nFROM ")[0]
    assert "USER 65532:65532" in base and "/usr/local/bin/wlp" in base
    assert any(parent.startswith("gcr.io/distroless/") and parent.endswith(":nonroot") for parent, _ in stages)


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


def test_tiltfile():
    text = (ROOT / "Tiltfile").read_text()
    dialect = starlark.Dialect.extended()
    module = starlark.Module()
    called = {"images": [], "resources": {}}
    module.add_callable("allow_k8s_contexts", lambda contexts: None)
    module.add_callable("kustomize", lambda path: str((ROOT / path / "kustomization.yaml").is_file()))
    module.add_callable("k8s_yaml", lambda found: None if found == "True" else 1 / 0)
    module.add_callable("docker_build", lambda ref, context, **rest: called["images"].append((ref, rest)))
    module.add_callable("k8s_resource", lambda name, **rest: called["resources"].update({name: rest}))
    starlark.eval(module, starlark.parse("Tiltfile", text, dialect), starlark.Globals.extended_by([]) if hasattr(
        starlark.Globals, "extended_by") else starlark.Globals.standard())
    assert {ref for ref, _ in called["images"]} == {f"wlp/{service}" for service in SERVICES}
    for ref, rest in called["images"]:
        assert rest["target"] == ref.removeprefix("wlp/") and (ROOT / rest["dockerfile"]).is_file()
        assert all(os.path.exists(ROOT / path) for path in rest["only"])
    for service, (rpc, metrics, _) in SERVICES.items():
        assert called["resources"][service]["port_forwards"] == [rpc, metrics]
