"""Keeps of the machine code in a shared library what one kind of NVIDIA GPU runs: a pack that travels is a third as large.

A library of CUDA holds containers ("fat binaries"), each with the same kernels for several compute capabilities. In each
container that has code for the wanted one, that code is moved to the front, the container's size is set to it, and what is
left over becomes zeros, which compress to nothing. A container without code for it stays as it is. Nothing else moves, so
the library loads as before; on a GPU of another kind its kernels are missing.

usage: python prune.py LIBRARY CAPABILITY     (90: H100 and H200)
"""

import pathlib
import struct
import sys

# the magic number of a container, its version 1 and the size of its header
CONTAINER = bytes.fromhex("50ed55ba01001000")
CONTAINER_HEADER = 16
# kinds of an entry
PTX, ELF = 1, 2
# kind, version, size of the header, size of what follows it; the compute capability stands further on
ENTRY = struct.Struct("<HHIQ")
CAPABILITY_AT = 28
SMALLEST_HEADER = 32


def entries(data, begin, end):
    """(kind, capability, begin, end) of each entry of a container; none if it is not laid out as is known here."""
    found = []
    while begin < end:
        if end - begin < SMALLEST_HEADER:
            return []
        kind, _, header, size = ENTRY.unpack_from(data, begin)
        (capability,) = struct.unpack_from("<I", data, begin + CAPABILITY_AT)
        if kind not in (PTX, ELF) or header < SMALLEST_HEADER or begin + header + size > end:
            return []
        found.append((kind, capability, begin, begin + header + size))
        begin += header + size
    return found


def prune(data, capability):
    """Prunes in place; gives the number of containers, of those that changed, and of bytes that became zeros."""
    containers = changed = zeros = 0
    at = data.find(CONTAINER)
    while at >= 0:
        containers += 1
        begin = at + CONTAINER_HEADER
        (size,) = struct.unpack_from("<Q", data, at + 8)
        end = begin + size
        all_of_them = entries(data, begin, end) if end <= len(data) else []
        kept = [data[first:last] for kind, of, first, last in all_of_them if (kind, of) == (ELF, capability)]
        if kept and len(kept) < len(all_of_them):
            code = b"".join(kept)
            struct.pack_into("<Q", data, at + 8, len(code))
            data[begin:end] = code + bytes(size - len(code))
            changed += 1
            zeros += size - len(code)
        at = data.find(CONTAINER, end if all_of_them else begin)
    return containers, changed, zeros


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    path, capability = pathlib.Path(sys.argv[1]), int(sys.argv[2])
    data = bytearray(path.read_bytes())
    containers, changed, zeros = prune(data, capability)
    if containers and not changed:
        print(f"{path.name}: no container has code for {capability} beside other code", file=sys.stderr)
    path.write_bytes(data)
    print(f"{path.name}: {changed} of {containers} containers pruned, {zeros >> 20} MiB are zeros now", file=sys.stderr)


if __name__ == "__main__":
    main()
