"""/api/channel."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from .channels import AUTO_OFF, MANUALLY_OFF
from .database import NotFoundError
from .envelope import ADMIN, AdminError, api, bind, failed, ok, page, path_id, set_fields
from .models import known_models
from .probe import probe_channel
from .schema import CHANNELS
from .web import Request, Response, json_response

if TYPE_CHECKING:
    from .app import App

DISABLED = f"status IN ({MANUALLY_OFF}, {AUTO_OFF})"


@api(ADMIN)
def list_channels(app: App, request: Request) -> Response:
    return ok(data=app.database.rows(CHANNELS, f"ORDER BY id DESC {page(request)}", omit="key"))


@api(ADMIN)
def search_channels(app: App, request: Request) -> Response:
    """By id or by the start of the name; an empty keyword finds everything."""
    keyword = request.query("keyword")
    number = int(keyword) if keyword.lstrip("+-").isdecimal() else 0
    tail, params = "WHERE id = ? OR name LIKE ?", (number, keyword + "%")
    return ok(data=app.database.rows(CHANNELS, tail, params, omit="key"))


@api(ADMIN)
def get_channel(app: App, request: Request) -> Response:
    return ok(data=app.database.first(CHANNELS, "id = ?", (path_id(request),), omit="key"))


@api(ADMIN)
def add_channel(app: App, request: Request) -> Response:
    """One channel for each line of the key; the answer tells no id."""
    channel = bind(CHANNELS, request.body)
    channel["created_time"] = int(time.time())
    rows = [{**channel, "key": key} for key in channel["key"].split("\n") if key]
    if not rows:
        raise AdminError("empty slice found")
    for channel_id in app.database.insert(CHANNELS, *rows):
        app.channels.add_abilities(app.channels.by_id(channel_id))
    return ok()


@api(ADMIN)
def put_channel(app: App, request: Request) -> Response:
    """Writes what is set, reloads, rewrites the abilities, and answers with the row, key and all."""
    channel = bind(CHANNELS, request.body)
    if not channel["id"]:
        raise AdminError("WHERE conditions required")
    app.database.update(CHANNELS, channel["id"], set_fields(CHANNELS, channel))
    try:
        channel = app.channels.by_id(channel["id"])
    except NotFoundError:
        app.log.system_error(f"record not found: channel {channel['id']}")
    app.channels.drop_abilities(channel["id"])
    app.channels.add_abilities(channel)
    return ok(data=channel)


@api(ADMIN)
def delete_channel(app: App, request: Request) -> Response:
    """A success even where there is no such channel."""
    text = request.params["id"]
    channel_id = int(text) if text.isdecimal() else 0
    if not channel_id:
        raise AdminError("WHERE conditions required")
    app.database.execute("DELETE FROM channels WHERE id = ?", (channel_id,))
    app.channels.drop_abilities(channel_id)
    return ok()


@api(ADMIN)
def delete_disabled(app: App, request: Request) -> Response:
    """Leaves the abilities behind, as One API does."""
    return ok(data=app.database.execute(f"DELETE FROM channels WHERE {DISABLED}"))  # noqa: S608


@api(ADMIN)
def probe_one(app: App, request: Request) -> Response:
    channel = app.channels.by_id(path_id(request))
    model = request.query("model")
    started = time.perf_counter()
    problem = probe_channel(app, channel, model)
    took_ms = 0 if problem else int((time.perf_counter() - started) * 1000)
    _remember(app, channel["id"], took_ms)
    if problem:
        return failed(problem, time=0, model=model)
    return ok(time=took_ms / 1000, model=model)


@api(ADMIN)
def probe_all(app: App, request: Request) -> Response:
    scope = f"WHERE {DISABLED} " if request.query("scope") == "disabled" else ""
    channels = app.database.rows(CHANNELS, f"{scope}ORDER BY id DESC")

    def run() -> None:
        for channel in channels:
            started = time.perf_counter()
            probe_channel(app, channel, "")
            _remember(app, channel["id"], int((time.perf_counter() - started) * 1000))

    app.background(run)
    return ok()


def _remember(app: App, channel_id: int, took_ms: int) -> None:
    times = {"test_time": int(time.time()), "response_time": took_ms}
    app.background(lambda: app.database.update(CHANNELS, channel_id, times))


@api(ADMIN)
def list_models(app: App, request: Request) -> Response:
    """Not in the envelope: an OpenAI list."""
    return json_response({"data": known_models(), "object": "list"})
