#!/usr/bin/env bash
# environments.sh NAME…: `.venv/locked/NAME`, with what requirements/NAME.txt locks, for tools that may not meet others.
set -euo pipefail
cd "$(dirname "$0")/.."

for name; do
    lock=requirements/$name.txt
    venv=.venv/locked/$name
    if ! cmp -s "$lock" "$venv/lock.txt"; then
        echo "installing what $lock names into $venv"
        rm -rf "$venv"
        .venv/bin/python -m venv --without-pip "$venv"
        .venv/bin/uv pip install --quiet --python "$venv/bin/python" --require-hashes -r "$lock"
        cp "$lock" "$venv/lock.txt"
    fi
done
