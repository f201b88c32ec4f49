#!/usr/bin/env bash
# unasync takes `await` out of an f-string, or leaves it there, by the version of the Python that it runs on.
#
# unasync 0.6.0 (tokenize-rt 6.2.0, setuptools 80.9.0) makes `def` of `async def`, and takes away each token `await`. An f-string
# is one token before Python 3.12, and made of its parts since (PEP 701). So the same source, the same versions of both
# packages, and no warning, exit 0:
# - Python 3.11: `f"{await self.ask()}"` stays, in a function that is no coroutine any more: what was written
#   is not Python (SyntaxError: 'await' outside async function), and nobody has compiled it yet;
# - Python 3.13.5: `f"{self.ask()}"`, as one expects. (Seen on a host of Debian 13; this script runs the Python that it finds.)
# A project that commits what is generated and compares it in CI gets another file on another Python. Class names in
# docstrings are left on both.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check unasync==0.6.0 tokenize-rt==6.2.0 setuptools==80.9.0
mkdir -p _async
cat > _async/client.py <<'END'
class AsyncClient:
    """AsyncClient asks."""

    async def told(self):
        return f"told: {await self.ask()}"

    async def ask(self):
        return await self.get()
END
cat > generate.py <<'END'
import pathlib
import unasync

here = pathlib.Path.cwd()
rule = unasync.Rule(fromdir=f"{here}/_async/", todir=f"{here}/_sync/")
unasync.unasync_files([f"{here}/_async/client.py"], [rule])
END
{
    code=0
    env/bin/python generate.py 2>&1 || code=$?
    echo "exit $code"
    cat _sync/client.py
    env/bin/python -c 'compile(open("_sync/client.py").read(), "client.py", "exec")' 2>&1 | sed -n 's/^SyntaxError/not Python: &/p' || :
} | tee got
if env/bin/python -c 'import sys; sys.exit(sys.version_info >= (3, 12))'; then
    in_it='{await self.ask()}' end="not Python: SyntaxError: 'await' outside async function"
else
    in_it='{self.ask()}' end=
fi
{
    cat <<END
exit 0
class SyncClient:
    """AsyncClient asks."""

    def told(self):
        return f"told: $in_it"

    def ask(self):
        return self.get()
END
    [ -z "$end" ] || echo "$end"
} | diff -u - got
echo "as described above, on $(env/bin/python -V)"
