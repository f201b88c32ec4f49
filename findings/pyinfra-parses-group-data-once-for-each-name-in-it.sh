#!/usr/bin/env bash
# pyinfra reads and parses a file of group_data once for each name that it sets: 60 settings are 60 parses of the whole file.
#
# pyinfra 3.10.0 (PyPI). To leave out what a file of group_data imports, its CLI looks for the names of imports in the
# file's syntax tree, anew for each name of the file (and for `__builtins__` and `__file__`). A file with N names is opened and
# parsed N + 2 times, so the time grows with the square of its length: 0.08 s of a run's 0.74 s of processor time with 62 names
# and their comments (2 cores, Python 3.11). Where the file sets `__all__`, it is never parsed for this.
# Counted here by Python's own audit event `compile` for that file; one of them is the run of the file itself.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check pyinfra==3.10.0
venv/bin/pyinfra --version
cat > counted.py <<'END'
import sys

counted = []
sys.addaudithook(lambda event, args: counted.append(1) if event == "compile" and str(args[1]).endswith("all.py") else None)

from pyinfra_cli.main import main  # after the hook

sys.argv = ["pyinfra", "@local", "debug-inventory"]
try:
    main()
finally:
    print(f"compiled {len(counted)} times", file=sys.stderr)
END
mkdir group_data
count() { venv/bin/python counted.py 2>&1 > /dev/null | grep -o 'compiled .*'; }
{
    for names in 1 10 60; do
        for number in $(seq "$names"); do echo "name_$number = $number"; done > group_data/all.py
        echo "$names names: $(count)"
    done
    echo '__all__ = ["name_1"]' >> group_data/all.py
    echo "60 names and __all__: $(count)"
} | tee got
diff -u - got <<'END'
1 names: compiled 4 times
10 names: compiled 13 times
60 names: compiled 63 times
60 names and __all__: compiled 1 times
END
echo 'as described above'
