"""/api/channel."""

from __future__ import annotations

import json
import time
from collections import Counter
from typing import TYPE_CHECKING

from ..channels import AUTO_OFF, ENABLED, MANUALLY_OFF
from ..database import Row
from ..envelope import bound, path_id, read_object, set_fields
from ..go_words import read_json
from ..web import Request, Response, json_response
from .config import CRITICAL
from .envelope import ADMIN, AUTH_VERSION, MANAGE, ROOT, AdminError, api, failed, limits, ok, page, record
from .probe import probe_channel
from .schema import CHANNEL_INFO, CHANNELS

if TYPE_CHECKING:
    from .app import App

DEFAULT_OF_SEARCH = 20
LONGEST_MODEL = 255
VERTEX = 41
# Spelt by new-api as a Go program that has met a nil pointer; its gzip keeps the text back.
PANIC = (
    "Panic detected, error: runtime error: invalid memory address or nil pointer dereference."
    " This is the stand-in of the lab."
)


@api(ADMIN)
def list_channels(app: App, request: Request) -> Response:
    number, size = page(request)
    where, params = _filters(request)
    total = app.database.query(f"SELECT count(*) AS n FROM channels {where}", params)[0]["n"]  # noqa: S608
    tail = f"{where} ORDER BY {_order(request)} {limits(number, size)}"
    rows = app.database.rows(CHANNELS, tail, params, omit="key")
    of_status, _ = _filters(request, of_all_types=True)
    counts = app.database.query(f"SELECT type, count(*) AS n FROM channels {of_status} GROUP BY type")  # noqa: S608
    return ok(
        data={
            "items": [_shown(row) for row in rows],
            "page": number,
            "page_size": size,
            "total": total,
            "type_counts": {str(row["type"]): row["n"] for row in counts},
        }
    )


@api(ADMIN)
def search_channels(app: App, request: Request) -> Response:
    """By id, by a part of the name or of the URL, or by the whole key; a page may have any size here."""
    keyword, model = request.query("keyword"), request.query("model")
    like = f"%{keyword}%"
    rows = app.database.rows(
        CHANNELS,
        f"WHERE (id = ? OR name LIKE ? OR key = ? OR base_url LIKE ?) AND models LIKE ? ORDER BY {_order(request)}",
        (int(keyword) if keyword.isdecimal() else 0, like, keyword, like, f"%{model}%"),
        omit="key",
    )
    counts = Counter(str(row["type"]) for row in rows)
    number = max(request.query_number("p"), 1)
    size = request.query_number("page_size")
    size = size if size > 0 else DEFAULT_OF_SEARCH
    items = [_shown(row) for row in rows[(number - 1) * size : number * size]]
    return ok(data={"items": items, "total": len(rows), "type_counts": dict(sorted(counts.items()))})


def _filters(request: Request, of_all_types: bool = False) -> tuple[str, tuple[object, ...]]:
    clauses: list[str] = []
    params: list[object] = []
    if (status := request.query("status")) in ("enabled", "1", "disabled", "0"):
        clauses.append(f"status {'=' if status in ('enabled', '1') else '!='} {ENABLED}")
    if (kind := request.query("type")) and not of_all_types:
        clauses.append("type = ?")
        params.append(kind)
    return f"WHERE {' AND '.join(clauses)}" if clauses else "", tuple(params)


def _order(request: Request) -> str:
    return "id DESC" if request.query("id_sort") in ("true", "1") else "priority DESC"


@api(ADMIN)
def get_channel(app: App, request: Request) -> Response:
    return ok(data=_shown(app.database.first(CHANNELS, "id = ?", (path_id(request),), omit="key")))


def add_channel(app: App, request: Request) -> Response:
    """A body that is not wrapped ends in a panic: 500, or an empty 200 where the client takes gzip."""
    response = _add_channel(app, request)
    if response.status == 500 and "gzip" in request.header("Accept-Encoding"):
        return Response(200, headers=dict(AUTH_VERSION))
    return response


@api(ADMIN)
def _add_channel(app: App, request: Request) -> Response:
    given = read_object(request.body, "controller.AddChannelRequest")
    if not isinstance(given.get("channel"), dict):
        return json_response({"error": {"message": PANIC, "type": "new_api_panic"}}, 500)
    channel = _bound(given["channel"], "channel.")
    _validate(channel)
    if not channel["key"]:
        raise AdminError("channel cannot be empty")
    for model in channel["models"].split(","):
        if len(model.encode()) > LONGEST_MODEL:
            raise AdminError(f"模型名称过长: {model}")
    keys = _keys(given, channel)
    channel["created_time"] = app.now()
    for channel_id in app.database.insert(CHANNELS, *({**channel, "key": key} for key in keys)):
        app.channels.set_abilities(app.channels.by_id(channel_id))
    content = f"Created channel {channel['name']} (type {channel['type']}, count {len(keys)})"
    record(app, request, MANAGE, content)
    return ok()


def _keys(given: Row, channel: Row) -> list[str]:
    """The key of each channel to make: one, one a line, or all in one."""
    lines = [line.strip() for line in channel["key"].split("\n") if line.strip()]
    if given.get("mode") == "single":
        return [channel["key"]]
    if given.get("mode") == "batch":
        return lines
    if given.get("mode") != "multi_to_single":
        raise AdminError("不支持的添加模式")
    info = {"is_multi_key": True, "multi_key_size": len(lines), "multi_key_mode": given.get("multi_key_mode") or ""}
    channel["channel_info"] = json.dumps({**json.loads(CHANNEL_INFO), **info}, separators=(",", ":"))
    return ["\n".join(lines)]


@api(ADMIN)
def put_channel(app: App, request: Request) -> Response:
    """Writes what is set, rewrites the abilities, and answers with the row, without its key."""
    channel = _bound(read_object(request.body, "controller.PatchChannel"))
    _validate(channel)
    before = app.channels.by_id(channel["id"])
    channel["channel_info"] = before["channel_info"]
    app.database.update(CHANNELS, channel["id"], set_fields(CHANNELS, channel))
    after = app.channels.by_id(channel["id"])
    app.channels.set_abilities(after)
    record(app, request, MANAGE, f"Updated channel {channel['name']} (ID: {channel['id']})")
    return ok(data={**_shown({**after, "key": ""}), "multi_key_mode": None, "key_mode": None})


@api(ADMIN)
def delete_channel(app: App, request: Request) -> Response:
    """A success even where there is no such channel."""
    text = request.params["id"]
    channel_id = int(text) if text.isdecimal() else 0
    if not channel_id:
        raise AdminError("WHERE conditions required")
    app.database.execute("DELETE FROM channels WHERE id = ?", (channel_id,))
    app.channels.drop_abilities(channel_id)
    record(app, request, MANAGE, f"Deleted channel (ID: {channel_id})")
    return ok()


@api(ADMIN)
def delete_disabled(app: App, request: Request) -> Response:
    off = (MANUALLY_OFF, AUTO_OFF)
    app.database.execute(
        "DELETE FROM abilities WHERE channel_id IN (SELECT id FROM channels WHERE status IN (?, ?))", off
    )
    return ok(data=app.database.execute("DELETE FROM channels WHERE status IN (?, ?)", off))


@api(ROOT, CRITICAL, secret=True)
def get_key(app: App, request: Request) -> Response:
    """Never without a second factor, which the stand-in has not."""
    return failed("需要安全验证", 403, code="VERIFICATION_REQUIRED")


@api(ADMIN)
def probe_one(app: App, request: Request) -> Response:
    channel = app.channels.by_id(path_id(request))
    started = time.perf_counter()
    problem, code = probe_channel(app, request, channel)
    took_ms = int((time.perf_counter() - started) * 1000)
    if problem:
        return failed(problem, time=0, error_code=code or "unknown_error")
    app.database.update(CHANNELS, channel["id"], {"test_time": app.now(), "response_time": took_ms})
    return ok(time=took_ms / 1000)


def _bound(given: Row, path: str = "") -> Row:
    """A channel as the body gives it; what it says of several keys is the server's own affair."""
    return bound(CHANNELS, {name: value for name, value in given.items() if name != "channel_info"}, path)


def _validate(channel: Row) -> None:
    if channel["setting"]:
        try:
            read_json(channel["setting"])
        except ValueError as error:
            raise AdminError(f"渠道额外设置[channel setting] 格式错误：{error}") from None
    if channel["type"] == VERTEX:
        _validate_regions(channel["other"])


def _validate_regions(text: str) -> None:
    if not text:
        raise AdminError("部署地区不能为空")
    try:
        regions = json.loads(text)
    except ValueError:
        regions = None
    if not isinstance(regions, dict):
        example = '{"default": "us-central1", "region2": "us-east1"}'
        raise AdminError(f"部署地区必须是标准的Json格式，例如{example}")
    if regions.get("default") is None:
        raise AdminError("部署地区必须包含default字段")


def _shown(channel: Row) -> Row:
    balance = channel["balance"]
    shown = int(balance) if balance == int(balance) else balance  # as Go writes a float
    return {**channel, "balance": shown, "channel_info": json.loads(channel["channel_info"] or CHANNEL_INFO)}
