"""/v1: from the client's request to a channel's answer, with retries."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from ..database import NotFoundError, Row
from ..models import CREATED
from ..web import Handler, Request, Response, json_response
from . import claude
from .billing import Bill
from .body import MESSAGES, read_body
from .errors import RefusedError, RelayError
from .forward import attempt, roughly
from .relay_auth import Caller, allowed_models, choose_channel, identify, requested_model

if TYPE_CHECKING:
    from .app import App


def guarded(handler: Handler) -> Handler:
    """Make a handler a relay endpoint: a busy host refuses everybody, and failures become error objects."""

    @functools.wraps(handler)
    def endpoint(app: App, request: Request) -> Response:
        try:
            _refuse_when_overloaded(app)
            return handler(app, request)
        except RefusedError as error:
            app.log.error(request.request_id, str(error))
            return error.response(request.request_id)
        except RelayError as error:
            app.log.error(request.request_id, error.message)
            shape = error.as_claude if request.path == MESSAGES else error.response
            return shape(request.request_id)

    return endpoint


def _refuse_when_overloaded(app: App) -> None:
    what = app.config.overloaded
    if not what or not app.options.on("performance_setting.monitor_enabled"):
        return
    threshold = app.options.number(f"performance_setting.monitor_{what}_threshold")
    message = f"system {what} overloaded (current: 99.9%, threshold: {threshold}%)"
    raise RelayError(503, message, f"system_{what}_overloaded")


@guarded
def relay(app: App, request: Request) -> Response:
    """Send the request to a channel, to others if that fails and RetryTimes allows."""
    caller = identify(app, request)
    model = requested_model(request)
    channel = choose_channel(app, caller, model)
    body = read_body(request)
    bill = Bill(app, request, caller, model, bool(body.get("stream")), roughly(str(asked_in(body))))
    bill.take_beforehand(body.get("max_tokens") or body.get("max_output_tokens") or 0)
    try:
        return _with_retries(app, request, body, bill, channel)
    except RelayError:
        bill.give_back()
        raise


def _with_retries(app: App, request: Request, body: dict[str, Any], bill: Bill, channel: Row) -> Response:
    """The first attempt that works. Raises the last one's RelayError where none does."""
    retries = app.options.number("RetryTimes")
    number = 0
    while True:
        try:
            return attempt(app, request, body, bill, channel)
        except RelayError as error:
            _failed(app, request, channel, error)
            if number == retries or not _may_retry(app, bill.caller, error):
                raise
            number += 1
            try:
                following = app.channels.pick(bill.caller.group, bill.model, number)
            except NotFoundError:
                following = None
            if following is None:
                raise
            channel = following


def _may_retry(app: App, caller: Caller, error: RelayError) -> bool:
    is_tried_again = app.options.covers("AutomaticRetryStatusCodes", error.status)
    return caller.channel_text is None and not error.is_final and is_tried_again


def _failed(app: App, request: Request, channel: Row, error: RelayError) -> None:
    """Log a channel's failure, and disable it where the options say so."""
    app.log.error(request.request_id, f"channel error (channel #{channel['id']}, status code: {error.status})")
    is_disabling = app.options.covers("AutomaticDisableStatusCodes", error.status)
    if app.options.on("AutomaticDisableChannelEnabled") and channel["auto_ban"] and is_disabling:
        app.channels.switch_off(channel["id"])


def asked_in(body: dict[str, Any]) -> Any:
    """What a body asks, of whichever kind it is."""
    return body.get("messages") or body.get("input") or body.get("prompt")


@guarded
def list_models(app: App, request: Request) -> Response:
    """The token's models, or those of its group; of either only those that have a price."""
    caller = identify(app, request)
    allowed = allowed_models(caller.token)
    names = app.channels.group_models(caller.group) if allowed is None else sorted(allowed)
    names = [name for name in names if app.options.price(name) is not None]
    if request.header("x-api-key") and request.header("anthropic-version"):
        return json_response(claude.model_list(names))
    rows = [
        {"id": name, "object": "model", "created": CREATED, "owned_by": "openai", "supported_endpoint_types": []}
        for name in names
    ]
    return json_response({"data": rows, "object": "list", "success": True})


@guarded
def get_model(app: App, request: Request) -> Response:
    """An error with HTTP 200 for every model that new-api does not know by heart, a served one too."""
    identify(app, request)
    error = {
        "message": f"The model '{request.params['model']}' does not exist",
        "type": "invalid_request_error",
        "param": "model",
        "code": "model_not_found",
    }
    return json_response({"error": error})
