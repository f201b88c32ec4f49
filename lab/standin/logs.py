"""The log: v0.6.10's line formats, to stdout or stderr and to one file for each day of starting."""

from __future__ import annotations

import secrets
import sys
import time
from pathlib import Path
from typing import NoReturn, TextIO


class Log:
    """Writes lines; never given a key, a token or a password."""

    def __init__(self, directory: Path | None, one_file: bool = False) -> None:
        self._file: TextIO | None = None
        if directory:
            directory.mkdir(exist_ok=True)  # one level only: the parent must be there
            name = "oneapi.log" if one_file else f"oneapi-{time.strftime('%Y%m%d')}.log"
            self._file = (directory / name).open("a", encoding="utf-8", buffering=1)

    def system(self, text: str) -> None:
        self._write(sys.stdout, f"[SYS] {_now()} | {text} \n")

    def system_error(self, text: str) -> None:
        self._write(sys.stderr, f"[SYS] {_now()} | {text} \n")

    def info(self, request_id: str, text: str) -> None:
        self._write(sys.stdout, f"[INFO] {_now()} | {request_id or new_request_id()} | {text} \n")

    def error(self, request_id: str, text: str) -> None:
        self._write(sys.stderr, f"[ERR] {_now()} | {request_id or new_request_id()} | {text} \n")

    def request(self, request_id: str, status: int, seconds: float, ip: str, method: str, path: str) -> None:
        took = f"{seconds * 1000:.6f}ms"
        self._write(
            sys.stdout,
            f"[GIN] {_now()} | {request_id} | {status:3d} | {took:>13} | {ip:>15} | {method:>7} {path}\n",
        )

    def fatal(self, text: str) -> NoReturn:
        """Write the last line and end the program with status 1."""
        self._write(sys.stderr, f"[FATAL] {_now()} | [{text}] \n")
        raise SystemExit(1)

    def close(self) -> None:
        if self._file:
            self._file.close()
            self._file = None

    def _write(self, stream: TextIO, line: str) -> None:
        stream.write(line)
        stream.flush()
        if self._file:
            self._file.write(line)


def new_request_id() -> str:
    """Local time to the second, then its nanoseconds (no leading zeros), then eight random digits."""
    now = time.time_ns()
    stamp = time.strftime("%Y%m%d%H%M%S", time.localtime(now // 1_000_000_000))
    return f"{stamp}{now % 1_000_000_000}{secrets.randbelow(10**8):08d}"


def _now() -> str:
    return time.strftime("%Y/%m/%d - %H:%M:%S")
