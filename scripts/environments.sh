#!/usr/bin/env bash
# environments.sh NAME…: `.venv/locked/NAME`, with what requirements/NAME.txt locks, for tools that may not meet others.
# Whatever else is in .venv stays as it is, and nothing of it is needed.
set -euo pipefail
cd "$(dirname "$0")/.."

# The first Python from 3.11 on that can make a virtual environment.
usable_python() {
    local candidate
    for candidate in .venv/bin/python "${VIRTUAL_ENV:-.venv}/bin/python" python3; do
        if "$candidate" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    echo 'no Python from 3.11 on with the modules venv and ensurepip: install python3-venv' >&2
    exit 1
}

for name; do
    lock=requirements/$name.txt
    venv=.venv/locked/$name
    if ! cmp -s "$lock" "$venv/lock.txt"; then
        echo "installing what $lock names into $venv"
        python=$(usable_python)
        rm -rf "$venv"
        if [ -x .venv/bin/uv ]; then
            "$python" -m venv --without-pip "$venv"
            .venv/bin/uv pip install --quiet --python "$venv/bin/python" --require-hashes -r "$lock"
        else
            "$python" -m venv "$venv"
            "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-input --require-hashes -r "$lock"
        fi
        cp "$lock" "$venv/lock.txt"
    fi
done
