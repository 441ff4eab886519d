#!/bin/sh
# Runs a service and starts it again when its binary was replaced: reload BINARY [ARGUMENT...]
# Hands on TERM and INT, and ends as the service ends when that ends by itself.
set -u
binary=$1
stamp() { stat -c '%i %Y %s' "$binary" 2>/dev/null || echo missing; }

# A file that is being laid there is missing, or grows, or cannot be run yet.
settled() {
    while :; do
        before=$(stamp)
        sleep 1
        if [ -x "$binary" ] && [ "$before" = "$(stamp)" ]; then return; fi
    done
}

watch() {
    while [ "$(stamp)" = "$seen" ]; do sleep 1; done
    echo "reload: $binary was replaced" >&2
    kill -TERM "$child"
}

stop() {
    trap '' TERM INT
    kill -TERM "$child" "$watcher" 2>/dev/null
    wait "$child"
    exit $?
}

while :; do
    seen=$(stamp)
    "$@" &
    child=$!
    watch &
    watcher=$!
    trap stop TERM INT
    wait "$child"
    status=$?
    kill "$watcher" 2>/dev/null
    [ "$(stamp)" = "$seen" ] && exit "$status"
    settled
done
