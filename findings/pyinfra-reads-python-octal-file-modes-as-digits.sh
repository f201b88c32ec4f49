#!/usr/bin/env bash
# pyinfra reads the integer of a file mode by its decimal digits: Python's 0o640 becomes 416, which others may read and write.
#
# pyinfra 3.10.0 (PyPI). 644 means rw-r--r-- there, as does the text "0o644". Python's own way to write a mode gives another
# number: 0o644 is 420 and 0o640 is 416, both of which are octal digits too, so files.put() changes the mode to r---w---- and
# r----xrw- without a word. Only where the decimal number has an 8 or a 9, as with 0o600 (384), is there an error.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check pyinfra==3.10.0
venv/bin/pyinfra --version
cat > deploy.py <<'END'
import os
from io import StringIO

from pyinfra.operations import files

MODES = {"int 644": 644, "text 0o644": "0o644", "int 0o644": 0o644, "int 0o640": 0o640, "int 0o600": 0o600}
name = os.environ["MODE"]
files.put(name="Write a file", src=StringIO("x\n"), dest=os.path.abspath(name), mode=MODES[name])
END
for name in 'int 644' 'text 0o644' 'int 0o644' 'int 0o640' 'int 0o600'; do
    MODE=$name venv/bin/pyinfra -y @local deploy.py > log 2>&1 || true
    if [ -e "$name" ]; then stat -c '%n: %A' "$name"; else echo "$name: $(grep -o -m 1 'ValueError: .* digits (' log)"; fi
done | tee got
diff -u - got <<'END'
int 644: -rw-r--r--
text 0o644: -rw-r--r--
int 0o644: -r---w----
int 0o640: -r----xrw-
int 0o600: ValueError: Invalid file mode: 384 contains non-octal digits (
END
