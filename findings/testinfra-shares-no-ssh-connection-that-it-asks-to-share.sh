#!/usr/bin/env bash
# testinfra asks OpenSSH for a shared connection without saying where: each command makes a connection of its own.
#
# pytest-testinfra 10.2.2 (PyPI), with OpenSSH's client. The backend ssh:// adds "-o ControlMaster=auto -o ControlPersist=60s",
# and a ControlPath only where it is given one (controlpath). OpenSSH's own default is no path, and then it
# shares nothing, without a word: five commands were five connections and five log-ins. With a path they were one. Seen at a
# server of asyncssh 2.22.0 on loopback.
set -euo pipefail
work=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server"; rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check pytest-testinfra==10.2.2 pytest==9.0.2 asyncssh==2.22.0
cat > server.py <<'END'
import asyncio, os

import asyncssh


class Server(asyncssh.SSHServer):
    def begin_auth(self, username):
        with open("connections", "a") as file:
            print("connection", file=file)
        return False  # nobody is asked for anything


async def main():
    key = asyncssh.generate_private_key("ssh-ed25519")
    listener = await asyncssh.listen(
        "127.0.0.1", 0, server_factory=Server, server_host_keys=[key], process_factory=lambda process: process.exit(0)
    )
    with open("port.new", "w") as file:
        print(listener.get_port(), file=file)
    os.rename("port.new", "port")
    await listener.wait_closed()


asyncio.run(main())
END
venv/bin/python server.py &
server=$!
until [ -s port ]; do kill -0 "$server"; sleep 0.1; done
cat > config <<END
Host gw1
  HostName 127.0.0.1
  Port $(cat port)
  StrictHostKeyChecking no
  UserKnownHostsFile /dev/null
END
cat > seen.py <<'END'
import sys

import testinfra

host = testinfra.get_host("ssh://gw1", ssh_config="config", controlpath=sys.argv[1])
for _ in range(5):
    assert host.run("true").rc == 0
END
for more in '' "$work/shared"; do
    rm -f connections
    venv/bin/python seen.py "$more"
    echo "${more:+with a controlpath, }5 commands: $(wc -l < connections) connections"
done | tee got
ssh -F config -o "ControlPath=$work/shared" -O exit gw1 2> /dev/null
diff -u - got <<'END'
5 commands: 5 connections
with a controlpath, 5 commands: 1 connections
END
