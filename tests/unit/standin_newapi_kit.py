"""A stand-in of new-api in a thread, set up or not, and what tests say to it."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import httpx

from lab.standin.newapi.app import App
from lab.standin.newapi.config import load_config

PASSWORD = "a-long-password"
NO_LIMITS = {
    "GLOBAL_API_RATE_LIMIT_ENABLE": "false",
    "GLOBAL_WEB_RATE_LIMIT_ENABLE": "false",
    "CRITICAL_RATE_LIMIT_ENABLE": "false",
    "SEARCH_RATE_LIMIT_ENABLE": "false",
}


class NewGateway:
    """A running stand-in, its directory, and short ways to call it."""

    def __init__(self, directory: Path, **env: str) -> None:
        self.directory = directory
        self.access_token = ""
        self.root_id = 1
        self.app = App(load_config({"PORT": "0", **NO_LIMITS, **env}, directory))
        self.server = self.app.listen("127.0.0.1")
        self._thread = threading.Thread(target=lambda: self.server.serve_forever(0.02))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.client = httpx.Client(base_url=self.url, trust_env=False, timeout=30)

    def stop(self) -> None:
        self.client.close()
        self.server.shutdown()
        self.server.server_close()
        self._thread.join()
        self.app.close()

    def set_up(self, **modes: bool) -> NewGateway:
        """Do what the wizard does, and get an access token of root's."""
        body = {"username": "root", "password": PASSWORD, "confirmPassword": PASSWORD, **modes}
        assert self.post("/api/setup", body).json() == {"message": "系统初始化成功", "success": True}
        self.log_in("root", PASSWORD)
        return self

    def log_in(self, username: str, password: str) -> None:
        """Get an access token by the password."""
        answer = self.post("/api/user/login", {"username": username, "password": password})
        self.root_id = answer.json()["data"]["id"]
        headers = {"Cookie": answer.headers["set-cookie"].partition(";")[0], "New-Api-User": str(self.root_id)}
        self.access_token = self.client.get("/api/user/token", headers=headers).json()["data"]

    def post(self, path: str, body: object, **headers: str) -> httpx.Response:
        """A POST without a log-in, whose cookies are not kept."""
        answer = self.client.post(path, json=body, headers=headers)
        self.client.cookies.clear()
        return answer

    def request(self, method: str, path: str, body: object = None, **headers: str) -> httpx.Response:
        own = {"Authorization": self.access_token, "New-Api-User": str(self.root_id), **headers}
        return self.client.request(method, path, json=body, headers=own)

    def api(self, method: str, path: str, body: object = None) -> Any:
        """The JSON of an admin call."""
        return self.request(method, path, body).json()

    def ok(self, method: str, path: str, body: object = None) -> Any:
        """The data of an admin call that has to succeed."""
        answer = self.api(method, path, body)
        assert answer["success"], answer
        return answer.get("data")

    def refused(self, method: str, path: str, body: object = None) -> str:
        """What an admin call that has to fail says."""
        answer = self.api(method, path, body)
        assert answer["success"] is False, answer
        return str(answer["message"])

    def add_channel(self, name: str, models: str, url: str, **more: Any) -> int:
        """Make a channel and find its id, as a provisioner must."""
        channel = {"type": 1, "key": f"sk-{name}", "name": name, "models": models, "base_url": url, "group": "default"}
        self.ok("POST", "/api/channel/", {"mode": "single", "channel": {**channel, **more}})
        rows = self.ok("GET", "/api/channel/?p=1&page_size=100&id_sort=true")["items"]
        return int(rows[0]["id"])

    def new_token(self, **fields: Any) -> dict[str, Any]:
        """Make a token and give its row, with its key."""
        self.ok("POST", "/api/token/", {"name": "t", "unlimited_quota": True, "expired_time": -1, **fields})
        row = self.ok("GET", "/api/token/?p=1&page_size=1")["items"][0]
        return {**row, "key": self.ok("POST", f"/api/token/{row['id']}/key")["key"]}

    def new_key(self, **fields: Any) -> str:
        return str(self.new_token(**fields)["key"])

    def set_option(self, key: str, value: object) -> None:
        self.ok("PUT", "/api/option/", {"key": key, "value": value})

    def relay(self, path: str, body: object, key: str, **headers: str) -> httpx.Response:
        return self.client.post(path, json=body, headers={"Authorization": f"Bearer sk-{key}", **headers})

    def chat(self, model: str, key: str, **more: Any) -> httpx.Response:
        body = {"model": model, "messages": [{"role": "user", "content": "hi"}], **more}
        return self.relay("/v1/chat/completions", body, key)


def new_error_of(answer: httpx.Response, status: int) -> dict[str, Any]:
    """The error object of an answer, less the request id in its text."""
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    suffix = f" (request id: {answer.headers['x-oneapi-request-id']})"
    return {**error, "message": error["message"].removesuffix(suffix)}
