#!/usr/bin/env bash
# Compiles the services in the container of the real images and lays them, with ONNX Runtime, in bin/ beside this file.
# Only what is different is replaced, so that a change moves only the services that it concerns into the cluster.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../../.." && pwd)
fresh=$(mktemp -d "$here/bin.XXXXXX")
trap 'rm -rf "$fresh"' EXIT

docker build --file "$root/deploy/docker/Dockerfile" --target binaries --output "type=local,dest=$fresh" "$root"

cd "$fresh"
find . -mindepth 1 \( -type f -o -type l \) -print0 | while IFS= read -r -d '' name; do
    if ! cmp -s "$name" "$here/bin/$name"; then
        mkdir -p "$(dirname "$here/bin/$name")"
        mv -f "$name" "$here/bin/$name"
        echo "new: $name"
    fi
done
