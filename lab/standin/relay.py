"""/v1: from the client's request to a channel's answer, with retries."""

from __future__ import annotations

import functools
import random
import sqlite3
from typing import TYPE_CHECKING

from . import NAME
from .channels import BrokenAbilitiesError
from .database import NotFoundError, Row
from .errors import RefusedError, RelayError, error_object
from .forward import attempt
from .media import attempt_audio, attempt_image
from .models import KNOWN, model_object
from .openai_body import IMAGE, SPEECH, TRANSCRIPTION, TRANSLATION, mode_of
from .relay_auth import Caller, choose_channel, identify
from .web import Handler, Request, Response, json_response

if TYPE_CHECKING:
    from .app import App

DISABLING_TYPES = {"insufficient_quota", "authentication_error", "permission_error", "forbidden"}
DISABLING_CODES = {"invalid_api_key", "account_deactivated"}
DISABLING_WORDS = (
    "your access was terminated",
    "violation of our policies",
    "credit",
    "balance",
    "permission denied",
    "organization has been disabled",
    "organization has been restricted",
    "已欠费",
)


def guarded(handler: Handler) -> Handler:
    """Make a handler a relay endpoint: refusals and panics become error objects."""

    @functools.wraps(handler)
    def endpoint(app: App, request: Request) -> Response:
        try:
            return handler(app, request)
        except RefusedError as error:
            app.log.error(request.request_id, str(error))
            return error.response(request.request_id)
        except Exception as error:
            app.log.error(request.request_id, f"panic detected: {error!r}")
            message = f"Panic detected, error: {error}. This is the {NAME}."
            return json_response({"error": {"message": message, "type": "one_api_panic"}}, 500)

    return endpoint


@guarded
def relay(app: App, request: Request) -> Response:
    """Send the request to a channel, to others if that fails and RetryTimes allows."""
    caller = identify(app, request)
    channel = choose_channel(app, caller)
    retries = app.options.number("RetryTimes")
    try:
        return _attempt(app, request, caller, channel, is_first=True)
    except RelayError as error:
        _failed(app, request, caller, channel, error)
        if not _may_retry(caller, error.status):
            retries = 0
        return _retry(app, request, caller, channel["id"], retries, error)


def _attempt(app: App, request: Request, caller: Caller, channel: Row, is_first: bool) -> Response:
    mode = mode_of(request.path)
    if mode == IMAGE:
        return attempt_image(app, request, caller, channel)
    if mode in (SPEECH, TRANSCRIPTION, TRANSLATION):
        return attempt_audio(app, request, caller, channel, is_first)
    return attempt(app, request, caller, channel)


def _retry(app: App, request: Request, caller: Caller, last_id: int, retries: int, error: RelayError) -> Response:
    """The first retry that works, or the last error; the first one looks at the top priority only."""
    for number in range(retries):
        try:
            channel = app.channels.pick(caller.user["group"], caller.model, any_priority=number > 0)
        except (NotFoundError, BrokenAbilitiesError, sqlite3.Error) as problem:
            app.log.error(request.request_id, f"CacheGetRandomSatisfiedChannel failed: {problem}")
            break
        if channel["id"] == last_id:
            continue
        app.log.info(
            request.request_id,
            f"using channel #{channel['id']} to retry (remain times {retries - number})",
        )
        try:
            return _attempt(app, request, caller, channel, is_first=False)
        except RelayError as next_error:
            error, last_id = next_error, channel["id"]
            _failed(app, request, caller, channel, error)
    return error.response(request.request_id)


def _may_retry(caller: Caller, status: int) -> bool:
    """429, 5xx and the rest but 400 and 2xx; never with a channel suffix."""
    return caller.channel_text is None and status != 400 and status // 100 != 2


def _failed(app: App, request: Request, caller: Caller, channel: Row, error: RelayError) -> None:
    """Log a channel's failure, its key hidden, and disable it where the option says so."""
    message = app.hide(error.message, channel["key"])
    app.log.error(
        request.request_id,
        f"relay error (channel id {channel['id']}, user id: {caller.user['id']}): {message}",
    )
    if app.options.on("AutomaticDisableChannelEnabled") and _is_disabling(error):
        app.channels.switch_off(channel["id"])
        app.log.system(f"channel #{channel['id']} has been disabled: {message}")


def _is_disabling(error: RelayError) -> bool:
    return (
        error.status == 401
        or error.type in DISABLING_TYPES
        or error.code in DISABLING_CODES
        or any(words in error.message.lower() for words in DISABLING_WORDS)
    )


@guarded
def list_models(app: App, request: Request) -> Response:
    """The token's models, or those of the user's group: those that One API knows in its order, the others in any."""
    caller = identify(app, request)
    if caller.token["models"]:
        names = caller.token["models"].split(",")
    else:
        names = app.channels.group_models(caller.user["group"])
    known = [name for name in KNOWN if name in names]
    others = [name for name in set(names) if name not in KNOWN]
    random.shuffle(others)
    return json_response({"data": [model_object(name) for name in known + others], "object": "list"})


@guarded
def get_model(app: App, request: Request) -> Response:
    """One of the models that One API knows by heart; HTTP 200 for an unknown one too."""
    identify(app, request)
    name = request.params["model"]
    if name in KNOWN:
        return json_response(model_object(name))
    message = f"The model '{name}' does not exist"
    return error_object(message, "invalid_request_error", "model_not_found", 200, "model")


@guarded
def not_implemented(app: App, request: Request) -> Response:
    """Paths that One API lists and does not build; token and channel are looked at first."""
    choose_channel(app, identify(app, request))
    return error_object("API not implemented", "one_api_error", "api_not_implemented", 501)


def not_found(app: App, request: Request) -> Response:
    """An unknown path under /v1 or /api."""
    message = f"Invalid URL ({request.method} {request.path})"
    response = error_object(message, "invalid_request_error", "", 404)
    response.headers["Cache-Control"] = "max-age=604800"  # One API lets clients keep even this for a week
    return response
