#!/usr/bin/env bash
# Makes the secrets of a mesh, once: deploy/docker/secrets.sh [FOLDER]
#
# FOLDER, by default secrets/ beside docker-compose.yml, gets credentials.toml (hashes of API keys), a SERVICE.key for each
# service (what it shows to its peers), postgres.password and databases.env (addresses with that password). By default
# .env, from which docker-compose.yml takes the password, is made or completed too. What is there is kept.
#
# WLP is the command that makes keys: by default the installed `wlp`, else the one in this source, compiled by cargo.
#
# The images run as user 65532, and compose shows them a secret with the mode that it has here. So the files that services
# read are readable to all, and the folder lets in its owner alone.
set -euo pipefail
umask 077
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
folder=${1:-$root/secrets}
services=(registry data-pipeline evaluator monitor gateway)

if [ -e "$folder" ]; then
    for name in credentials.toml "${services[@]/%/.key}" postgres.password databases.env; do
        if [ ! -s "$folder/$name" ]; then
            echo "secrets.sh: $folder is there without $name; move it away, or bring the file back" >&2
            exit 1
        fi
    done
    echo "kept: $folder"
    exit 0
fi

if [ -n "${WLP:-}" ]; then
    wlp=("$WLP")
elif command -v wlp >/dev/null; then
    wlp=(wlp)
else
    wlp=(cargo run --manifest-path "$root/Cargo.toml" --release --locked --quiet --package wlp --bin wlp --)
fi

# Made aside and moved in place, so that a folder that is there is whole.
mkdir -p "$(dirname "$folder")"
draft=$(mktemp -d "$folder.XXXXXX")
trap 'rm -rf "$draft"' EXIT

for service in "${services[@]}"; do
    "${wlp[@]}" keys create --principal "$service" --kind service --role "$service" \
        --file "$draft/credentials.toml" >"$draft/$service.key" 2>"$draft/log" || { cat "$draft/log" >&2; exit 1; }
done
rm -f "$draft/log"

password=
if [ $# -eq 0 ] && [ -e "$root/.env" ]; then
    password=$(sed -n 's/^WLP_POSTGRES_PASSWORD=//p' "$root/.env")
fi
[ -n "$password" ] || password=$(od -An -N24 -tx1 /dev/urandom | tr -d ' \n')
printf '%s' "$password" >"$draft/postgres.password"
for service in "${services[@]}"; do
    [ "$service" = gateway ] && continue # keeps files
    printf '%s=postgres://wlp:%s@postgres:5432/%s\n' "$service" "$password" "${service//-/_}" >>"$draft/databases.env"
done
chmod 0644 "$draft/credentials.toml" # its owner adds rows with `wlp keys create`
chmod 0444 "$draft"/*.key
mv "$draft" "$folder"

if [ $# -eq 0 ] && ! grep -qs '^WLP_POSTGRES_PASSWORD=' "$root/.env"; then
    printf 'WLP_POSTGRES_PASSWORD=%s\n' "$password" >>"$root/.env"
fi
echo "made: $folder"
echo "a person or program: wlp keys create --principal NAME --kind person --role ROLE --file $folder/credentials.toml"
