#!/usr/bin/env bash
# A host that pyinfra cannot reach is left out, and the run goes on; a host whose key file is missing ends it for all.
#
# pyinfra 3.10.0 (PyPI). Inventory: `@local`, and a second host of which, one after the other,
#   nothing listens on the port    "Could not connect", the command runs on @local, exit 1
#   `ssh_key` names no file        PyinfraError out of a greenlet, a traceback, no command runs anywhere, exit 1
# The exit codes are the same: only the output tells that the other hosts were not touched.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check pyinfra==3.10.0
venv/bin/pyinfra --version

run() { # SSH_DATA: the exit code, and whether the command ran on @local
    local code=0
    rm -f ran
    printf 'hosts = ["@local", ("far", {"ssh_hostname": "127.0.0.1", "ssh_port": 1, %s})]\n' "$1" > inventory.py
    venv/bin/pyinfra -y inventory.py exec -- touch "$work/ran" > output 2>&1 || code=$?
    echo "exit $code, ran on @local: $([ -e ran ] && echo yes || echo no), traceback: $(grep -c '^Traceback' output || true)"
}
{
    echo "unreachable: $(run '')"
    echo "no key file: $(run "\"ssh_key\": \"$work/none\"")"
} > seen
cat seen
diff - seen <<'SEEN' || { echo changed >&2; exit 1; }
unreachable: exit 1, ran on @local: yes, traceback: 0
no key file: exit 1, ran on @local: no, traceback: 1
SEEN
