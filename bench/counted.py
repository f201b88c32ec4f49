"""pyinfra as it is, with its SSH channels counted: `python -m bench.counted ARGUMENTS…` for pyinfra's own.

The last line on stderr is `channels: N commands, M connections through SSH`.
"""

from __future__ import annotations

import atexit
import os
import sys
from collections import Counter
from typing import Any


def main() -> None:
    """Count, then run pyinfra with the arguments of this process."""
    import paramiko
    from pyinfra_cli.main import main as pyinfra  # its import patches sockets: not before main

    opened: Counter[str] = Counter()
    open_channel = paramiko.Transport.open_channel

    def counting(self: paramiko.Transport, kind: str, *arguments: Any, **keywords: Any) -> paramiko.Channel:
        opened[kind] += 1
        return open_channel(self, kind, *arguments, **keywords)

    paramiko.Transport.open_channel = counting  # type: ignore[method-assign]
    told = "channels: {} commands, {} connections through SSH\n"
    atexit.register(lambda: os.write(2, told.format(opened["session"], opened["direct-tcpip"]).encode()))
    sys.argv[0] = "pyinfra"
    pyinfra()


if __name__ == "__main__":
    main()
