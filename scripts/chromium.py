"""A Chromium without a window, told what to do by the DevTools protocol over two pipes: no port, no library."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import tempfile
from collections import deque
from pathlib import Path
from types import TracebackType
from typing import Any, Self

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
_SECONDS = 60


class ChromiumError(Exception):
    """The browser is missing, or does not do what it is told."""


class Chromium:
    """A browser with one page. It is used in a `with`, which ends it."""

    def __init__(self) -> None:
        program = next((found for name in PROGRAMS if (found := shutil.which(name))), None)
        if program is None:
            raise ChromiumError("there is no Chromium: apt install chromium")
        self._profile = tempfile.TemporaryDirectory(prefix="chromium-")
        theirs_in, self._out = os.pipe()
        self._in, theirs_out = os.pipe()
        options = ["--headless=new", "--remote-debugging-pipe", "--no-first-run", "--disable-gpu", "--hide-scrollbars"]
        options += [f"--user-data-dir={self._profile.name}", "--no-sandbox", "about:blank"]
        self._process = subprocess.Popen(
            ["bash", "-c", f'exec "$@" 3<&{theirs_in} 4>&{theirs_out}', "bash", program, *options],
            pass_fds=(theirs_in, theirs_out),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self._number = 0
        self._unread = b""
        self._events: deque[dict[str, Any]] = deque()
        self._session = ""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.call("Page.enable")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        os.close(self._out)
        os.close(self._in)
        self._process.kill()
        self._process.wait()
        self._profile.cleanup()

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method of the protocol. Raises ChromiumError where it is refused, or the browser has ended."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while (answer := self._read()).get("id") != self._number:
            self._events.append(answer)
        if "error" in answer:
            raise ChromiumError(f"{method}: {answer['error']['message']}")
        return dict(answer["result"])

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._unread:
            piece = os.read(self._in, 1 << 20)
            if not piece:
                raise ChromiumError(f"it has ended: {self._process.wait(_SECONDS)}")
            self._unread += piece
        message, _, self._unread = self._unread.partition(b"\0")
        return dict(json.loads(message))

    def show(self, file: Path, width: int, *, is_dark: bool = False, now: float | None = None) -> None:
        """Show a file, to its end.

        Parameters: `width`, of the window in CSS pixels; `now`, what the page's clock says, in seconds since 1970.
        """
        scheme = "dark" if is_dark else "light"
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1, mobile=False)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        clock = None
        if now is not None:
            source = f"Date.now = () => {now * 1000:.0f}"
            clock = self.call("Page.addScriptToEvaluateOnNewDocument", source=source)["identifier"]
        self._events.clear()
        self.call("Page.navigate", url=file.resolve().as_uri())
        while not any(event.get("method") == "Page.loadEventFired" for event in self._events):
            self._events.append(self._read())
        if clock is not None:
            self.call("Page.removeScriptToEvaluateOnNewDocument", identifier=clock)

    def evaluate(self, expression: str) -> Any:
        """The value of an expression of JavaScript in the page. Raises ChromiumError where it throws."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        if "exceptionDetails" in answer:
            raise ChromiumError(json.dumps(answer["exceptionDetails"]))
        return answer["result"].get("value")

    def picture(self, width: int, height: int, quality: int, scale: float) -> bytes:
        """What the page's upper part looks like, as WebP. Parameters: `scale`, of pixels to CSS pixels."""
        clip = {"x": 0, "y": 0, "width": width, "height": height, "scale": scale}
        options = {"format": "webp", "quality": quality, "captureBeyondViewport": True, "clip": clip}
        return base64.b64decode(self.call("Page.captureScreenshot", **options)["data"])
