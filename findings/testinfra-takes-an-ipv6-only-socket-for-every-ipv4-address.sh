#!/usr/bin/env bash
# testinfra says that every IPv4 address listens where an IPv6-only socket does, and that none does where 0.0.0.0 does.
#
# pytest-testinfra 10.2.2 (PyPI), with ss of iproute2. Socket.is_listening is true for any address of a port as soon as [::]
# listens there: also with IPV6_V6ONLY, where a connection over IPv4 is refused, and also for an address that the host has not.
# Its text says that "tcp://PORT" needs 0.0.0.0 and [::] both. The other way round, a socket on 0.0.0.0 answers at 127.0.0.1,
# and is_listening is false for it. get_listening_sockets() tells what is there, so compare with that.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check pytest-testinfra==10.2.2 pytest==9.0.2
cat > seen.py <<'END'
import socket

import testinfra

host = testinfra.get_host("local://")


def listener(family: int, address: str) -> socket.socket:
    opened = socket.socket(family)
    if family == socket.AF_INET6:
        opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    opened.bind((address, 0))
    opened.listen()
    return opened


def answers(port: int) -> str:
    try:
        socket.create_connection(("127.0.0.1", port), 5).close()
    except ConnectionRefusedError:
        return "refused"
    return "connected"


for family, address in ((socket.AF_INET6, "::"), (socket.AF_INET, "0.0.0.0")):
    with listener(family, address) as opened:
        port = opened.getsockname()[1]
        print(f"a socket on {address}: 127.0.0.1 is {answers(port)}; is_listening says")
        for spec in ("127.0.0.1:", "192.0.2.7:", "0.0.0.0:", ""):
            print(f"  tcp://{spec}PORT", host.socket(f"tcp://{spec}{port}").is_listening)
        found = [each for each in host.socket.get_listening_sockets() if each.endswith(f":{port}")]
        print("  get_listening_sockets:", *(each.replace(str(port), "PORT") for each in found))
END
venv/bin/python seen.py | tee got
diff -u - got <<'END'
a socket on ::: 127.0.0.1 is refused; is_listening says
  tcp://127.0.0.1:PORT True
  tcp://192.0.2.7:PORT True
  tcp://0.0.0.0:PORT True
  tcp://PORT True
  get_listening_sockets: tcp://:::PORT
a socket on 0.0.0.0: 127.0.0.1 is connected; is_listening says
  tcp://127.0.0.1:PORT False
  tcp://192.0.2.7:PORT False
  tcp://0.0.0.0:PORT True
  tcp://PORT False
  get_listening_sockets: tcp://0.0.0.0:PORT
END
