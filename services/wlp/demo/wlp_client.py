"""A client of the mesh over generated stubs: channels with a key, uploads in pieces, and refusals as text."""

import hashlib
import pathlib
import sys

import grpc

PIECE = 1 << 18


class WithKey(grpc.UnaryUnaryClientInterceptor, grpc.UnaryStreamClientInterceptor, grpc.StreamUnaryClientInterceptor):
    """Puts the caller's key on every call."""

    def __init__(self, key):
        self.header = ("authorization", f"Bearer {key}")

    def _with_key(self, continuation, details, request):
        metadata = [*(details.metadata or []), self.header]
        return continuation(details._replace(metadata=metadata), request)

    intercept_unary_unary = _with_key
    intercept_unary_stream = _with_key
    intercept_stream_unary = _with_key


def channel(address, key):
    """A channel to `address` (host:port) whose calls carry `key`."""
    return grpc.intercept_channel(grpc.insecure_channel(address), WithKey(key))


def sha256(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def pieces(request_type, data, **first):
    """The messages of a resumable upload of `data`."""
    digest, size = sha256(data), len(data)
    for offset in range(0, max(size, 1), PIECE):
        head = {"digest": digest, "size_bytes": size, "offset": 0, **first} if offset == 0 else {}
        yield request_type(chunk=data[offset : offset + PIECE], **head)


def upload_file(method, request_type, path, **first):
    """Uploads a file and gives its digest."""
    data = pathlib.Path(path).read_bytes()
    return method(pieces(request_type, data, **first)).digest


def main(work):
    """Runs `work`, and turns a refusal into one line and exit status 1."""
    try:
        work()
    except grpc.RpcError as refusal:
        print(f"{refusal.code().name}: {refusal.details()}", file=sys.stderr)
        sys.exit(1)
