"""Variables of One API's environment: which are the deployment's own, and which are no setting's business."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from llm_gateway.model.checks import InvalidError, takes

OWN = {
    "PORT": "gateway_port says where it is published",
    "TZ": "gateway_timezone sets it",
    "GOMEMLIMIT": "gateway_memory_mb sets it",
    **dict.fromkeys(
        ("SQLITE_BUSY_TIMEOUT", "GLOBAL_API_RATE_LIMIT", "TIKTOKEN_CACHE_DIR", "DATA_GYM_CACHE_DIR", "SESSION_SECRET"),
        "the deployment sets it",
    ),
    **dict.fromkeys(("INITIAL_ROOT_TOKEN", "INITIAL_ROOT_ACCESS_TOKEN"), "only an empty database is read with it"),
    **dict.fromkeys(
        ("SQL_DSN", "LOG_SQL_DSN", "SQLITE_PATH"), "gateway_database says where the deployment keeps all data"
    ),
    "NODE_TYPE": "the deployment's gateways are single nodes",
}
"""What the deployment sets itself, or does without, each with the reason."""
PROXIES = ("RELAY_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "USER_CONTENT_REQUEST_PROXY", "https_proxy", "http_proxy")
"""Variables whose values are URLs that One API is to go through."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LONGEST = 2000
# As old_gateway.sh has it.
_SECRET_NAME = re.compile(r".*(KEY|SECRET|TOKEN|PASSWORD|PASSWD|PASSPHRASE|CREDENTIAL|CONN_STRING|DSN).*")


def may_be_secret(name: str, value: str) -> bool:
    """Whether a variable may hold what others must not read: by its name, or a user in a URL."""
    return "@" in value or _SECRET_NAME.fullmatch(name) is not None


@takes("a dict of variables", "变量的字典", {})
def variables(value: Any) -> dict[str, str | None]:
    """A dict of variables; None stands for one that an old gateway has, and that is left out knowingly."""
    if not isinstance(value, Mapping):
        raise InvalidError('must be a dict of variables, such as {"RELAY_TIMEOUT": "300"}')
    problems: list[str] = []
    for name, text in value.items():
        if not isinstance(name, str) or not _NAME.fullmatch(name) or len(name) > _LONGEST:
            problems.append("must have names of variables: letters, digits and _")
        elif text is None:
            continue
        elif name in OWN:
            problems.append(f"{name} must not be set, because {OWN[name]}")
        elif not isinstance(text, str) or not text.isprintable() or len(text) > _LONGEST:
            problems.append(f"{name} must be a string on one line, in quotes: numbers, too")
        elif may_be_secret(name, text):
            problems.append(
                f"{name} may be a secret, and everybody on the host can read docker-compose.yml: put the line {name}=…"
                " into data/.env in the gateway's directory instead (mode 600), which the gateway reads as well; here"
                " None says that it is known"
            )
    if problems:
        raise InvalidError(*dict.fromkeys(problems))
    return dict(value)
