#!/usr/bin/env bash
# Joins the parts beside it, which `pack.sh --split` wrote, into a folder: checks them and unpacks. Python alone is needed.
#
#   ./unpack.sh DIR
set -euo pipefail
PARTS=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
DIR=${1:?name the folder to unpack into}

(cd "$PARTS" && sha256sum --quiet --check parts.sha256)
mkdir -p "$DIR"
cat "$PARTS"/part-* | python3 -c '
import sys, tarfile
with tarfile.open(fileobj=sys.stdin.buffer, mode="r|xz") as archive:
    archive.extractall(sys.argv[1], filter="tar")' "$DIR"
echo "unpacked: $DIR" >&2
