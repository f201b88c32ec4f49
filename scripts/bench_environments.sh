#!/usr/bin/env bash
# `.venv/bench/openai` and `.venv/bench/litellm`: the clients that `make bench-client` compares with, locked.
set -euo pipefail
cd "$(dirname "$0")/.."

for name in openai litellm; do
    lock=requirements/bench-$name.txt
    venv=.venv/bench/$name
    if ! cmp -s "$lock" "$venv/lock.txt"; then
        echo "installing what $lock names into $venv"
        rm -rf "$venv"
        .venv/bin/python -m venv --without-pip "$venv"
        .venv/bin/uv pip install --quiet --python "$venv/bin/python" --require-hashes -r "$lock"
        cp "$lock" "$venv/lock.txt"
    fi
done
