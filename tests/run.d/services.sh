# PostgreSQL and Redis for the tests: given by address, else installed and started here, else by compose.
# Sourced by tests/run; exports WLP_TEST_POSTGRES_URL and WLP_TEST_REDIS_URL.
# shellcheck shell=bash

COMPOSE_FILE_TEST=tests/run.d/services.compose.yml
COMPOSE_PROJECT=

stage_services() {
    local state=0
    if [ -n "${WLP_TEST_POSTGRES_URL:-}" ]; then
        say "postgres: WLP_TEST_POSTGRES_URL is set"
    else
        start_postgres || start_by_compose postgres || missing "PostgreSQL: no server, no package, no container engine" || state=1
    fi
    if [ -n "${WLP_TEST_REDIS_URL:-}" ]; then
        say "redis: WLP_TEST_REDIS_URL is set"
    else
        start_redis || start_by_compose redis || missing "Redis: no server, no package, no container engine" || state=1
    fi
    if [ "$KEEP" = 1 ]; then
        write_stop
        [ -z "${WLP_TEST_POSTGRES_URL:-}" ] || say "export WLP_TEST_POSTGRES_URL=$WLP_TEST_POSTGRES_URL"
        [ -z "${WLP_TEST_REDIS_URL:-}" ] || say "export WLP_TEST_REDIS_URL=$WLP_TEST_REDIS_URL"
    fi
    return $state
}

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

# Waits up to 30 s for a command to succeed.
wait_for() {
    local tries
    for tries in $(seq 150); do
        if "$@" >/dev/null 2>&1; then return 0; fi
        sleep 0.2
    done
    say "gave up after $tries tries: $*"
    return 1
}

APT_UPDATED=0
install_packages() {
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then return 1; fi
    if [ $APT_UPDATED = 0 ]; then
        apt-get -qq update >"$WORK/apt.log" 2>&1
        APT_UPDATED=1
    fi
    say "installing: $*"
    # run level 1: a package's own server is not started beside ours
    RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends "$@" >>"$WORK/apt.log" 2>&1 \
        || { tail -5 "$WORK/apt.log"; return 1; }
}

postgres_bin() { # the folder that has both initdb and postgres, newest first
    local folder
    for folder in $(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -Vr) "$(dirname "$(command -v initdb || echo /none/x)")"; do
        if [ -x "$folder/initdb" ] && [ -x "$folder/pg_ctl" ]; then echo "$folder"; return 0; fi
    done
    return 1
}

# PostgreSQL refuses to run as root.
as_server_user() {
    if [ "$(id -u)" = 0 ]; then
        setpriv --reuid="$SERVER_USER" --regid="$(id -g "$SERVER_USER")" --clear-groups env HOME="$WORK" "$@"
    else
        "$@"
    fi
}

start_postgres() {
    local bin port folder="$WORK/postgres"
    bin=$(postgres_bin) || { install_packages postgresql && bin=$(postgres_bin); } || return 1
    SERVER_USER=$(id -un)
    if [ "$SERVER_USER" = root ]; then
        if id postgres >/dev/null 2>&1; then SERVER_USER=postgres; else SERVER_USER=nobody; fi
    fi
    mkdir -p "$folder" && chown "$SERVER_USER" "$folder" && chmod 700 "$folder" || return 1
    (cd "$folder" && as_server_user "$bin/initdb" -D "$folder/data" -U wlp -A trust -E UTF8 --no-locale >"$WORK/initdb.log" 2>&1) \
        || { tail -5 "$WORK/initdb.log"; return 1; }
    port=$(free_port)
    # The data is thrown away, so nothing waits for the disk; each test has a database and a pool of its own.
    (cd "$folder" && as_server_user "$bin/pg_ctl" -D "$folder/data" -l "$folder/log" -w -t 60 -o \
        "-p $port -k $folder -c listen_addresses=127.0.0.1 -c fsync=off -c synchronous_commit=off -c full_page_writes=off -c max_connections=300" \
        start >"$WORK/pg_ctl.log" 2>&1 8>&- 9>&-) || { tail -5 "$folder/log"; return 1; }
    POSTGRES_PID=$(head -1 "$folder/data/postmaster.pid")
    POSTGRES_STOP="$bin/pg_ctl"
    export WLP_TEST_POSTGRES_URL="postgres://wlp@127.0.0.1:$port/postgres"
    say "postgres: $("$bin/postgres" --version) on port $port"
}

start_redis() {
    local port folder="$WORK/redis"
    command -v redis-server >/dev/null || install_packages redis-server || return 1
    port=$(free_port)
    mkdir -p "$folder"
    redis-server --port "$port" --bind 127.0.0.1 --dir "$folder" --save '' --appendonly no --daemonize yes \
        --pidfile "$folder/pid" --logfile "$folder/log" >/dev/null 2>&1 8>&- 9>&- || return 1
    wait_for redis-cli -p "$port" ping || { tail -5 "$folder/log"; return 1; }
    REDIS_PID=$(cat "$folder/pid")
    export WLP_TEST_REDIS_URL="redis://127.0.0.1:$port/"
    say "redis: $(redis-server --version | cut -d' ' -f3) on port $port"
}

start_by_compose() {
    local port
    docker compose version >/dev/null 2>&1 && docker info >/dev/null 2>&1 || return 1
    COMPOSE_PROJECT=${COMPOSE_PROJECT:-wlp-test-$$}
    docker compose -p "$COMPOSE_PROJECT" -f "$COMPOSE_FILE_TEST" up -d --wait "$1" || return 1
    case $1 in
        postgres)
            port=$(docker compose -p "$COMPOSE_PROJECT" -f "$COMPOSE_FILE_TEST" port postgres 5432) || return 1
            export WLP_TEST_POSTGRES_URL="postgres://wlp@$port/postgres"
            ;;
        redis)
            port=$(docker compose -p "$COMPOSE_PROJECT" -f "$COMPOSE_FILE_TEST" port redis 6379) || return 1
            export WLP_TEST_REDIS_URL="redis://$port/"
            ;;
    esac
    say "$1: by compose on $port"
}

stop_services() {
    if [ -n "${POSTGRES_PID:-}" ]; then
        (cd / && as_server_user "$POSTGRES_STOP" -D "$WORK/postgres/data" -m immediate -w stop >/dev/null 2>&1) || kill -QUIT "$POSTGRES_PID" 2>/dev/null
    fi
    if [ -n "${REDIS_PID:-}" ]; then
        kill "$REDIS_PID" 2>/dev/null
        for _ in $(seq 50); do kill -0 "$REDIS_PID" 2>/dev/null || break; sleep 0.1; done
    fi
    [ -z "$COMPOSE_PROJECT" ] || docker compose -p "$COMPOSE_PROJECT" -f "$COMPOSE_FILE_TEST" down -v >/dev/null 2>&1
    return 0
}

# A script that stops what --keep left running.
write_stop() {
    {
        echo '#!/usr/bin/env bash'
        echo "cd '$ROOT' && WORK='$WORK' SERVER_USER='${SERVER_USER:-}' POSTGRES_PID='${POSTGRES_PID:-}' POSTGRES_STOP='${POSTGRES_STOP:-}' REDIS_PID='${REDIS_PID:-}'"
        echo "source tests/run.d/services.sh; COMPOSE_PROJECT='$COMPOSE_PROJECT'; stop_services; rm -rf '$WORK'"
    } >"$WORK/stop"
    chmod +x "$WORK/stop"
}
