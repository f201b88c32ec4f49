#!/usr/bin/env bash
# pyinfra takes the command of `Match exec` in an ssh_config for the name of a script: `Match exec "true"` never matches.
#
# pyinfra 3.10.0 (PyPI). OpenSSH hands the command to the user's shell by -c. pyinfra's own reader of ssh_config calls
# `$SHELL COMMAND` instead: the shell looks for a file of that name and reads it as a script. So a program is refused ("cannot
# execute binary file"), and a command with arguments is "No such file or directory"; the block is passed over, and the run goes on
# with another user, key or proxy than `ssh` takes. Only the path of a shell script, without arguments, works in both.
# Seen beside `ssh -G` of OpenSSH 9.2.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
export SHELL=/bin/bash
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check pyinfra==3.10.0
venv/bin/pyinfra --version
ssh -V
printf '#!/bin/bash\nexit 0\n' > script
chmod 755 script
cat > read.py <<'END'
import sys

import pyinfra_cli  # as its command does
from pyinfra.connectors.sshuserclient.client import get_ssh_config

print(get_ssh_config(sys.argv[1]).lookup("gw1").get("user", "none"))
END
for command in true "test -e $work/script" "$work/script"; do
    printf 'Match exec "%s"\n  User deploy\n' "$command" > config
    echo "${command//$work/.}: ssh $(ssh -F config -G gw1 | sed -n 's/^user //p' | grep -x deploy || echo none)," \
        "pyinfra $(venv/bin/python read.py config 2> /dev/null)"
done | tee got
diff -u - got <<'END'
true: ssh deploy, pyinfra none
test -e ./script: ssh deploy, pyinfra none
./script: ssh deploy, pyinfra deploy
END
