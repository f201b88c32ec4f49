"""Each setting: what it takes, and what is said of the rest."""

from __future__ import annotations

import re
import runpy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pyinfra.api.connectors import get_all_connectors

from llm_gateway.flavours.known import NEW_API, ONE_API
from llm_gateway.inputs import host_data, settings
from llm_gateway.inputs.declaration_checks import CHANNEL as CHANNEL_FIELDS
from llm_gateway.inputs.declaration_checks import TOKEN as TOKEN_FIELDS
from llm_gateway.inputs.settings import SETTINGS
from llm_gateway.model.checkout import ROOT

CHANNEL = {"name": "c", "base_url": "https://a.example", "key": "A_API_KEY", "models": ["m"]}
SHA = "sha256:" + "0" * 64
WORKSPACE = (
    'must be an absolute path such as "/root/workspace" or one that begins with "~/" (the home of OpenClaw\'s user),'
    " without //, /./ or /../ in it and without a / at its end; or None"
)


def problems(**chosen: Any) -> list[str]:
    """What is wrong with the defaults and these."""
    return host_data.check({**settings.defaults(), **chosen})[1]


def found(**chosen: Any) -> settings.Settings:
    """The settings that come of these, which must be right."""
    checked, wrong = host_data.check(chosen)
    assert wrong == []
    return checked


def channel(**changes: Any) -> list[dict[str, Any]]:
    """A list of one right channel with these changes; None takes a field away."""
    return [{key: value for key, value in {**CHANNEL, **changes}.items() if value is not None}]


def test_the_defaults_are_right() -> None:
    assert problems() == []
    assert host_data.check({})[1] == []


@pytest.mark.parametrize("name", SETTINGS)
def test_each_setting_says_in_both_languages_what_it_takes_and_means(name: str) -> None:
    setting = SETTINGS[name]
    fields = [text for field in setting.fields for text in field[1:]]
    for text in (setting.text, setting.zh, setting.check.wanted, setting.check.zh, *fields):
        assert text.strip(), text
        assert text.count("`") % 2 == 0, text
    for chinese in (setting.zh, *(zh for _, _, zh in setting.fields)):
        assert re.search("[\u4e00-\u9fff]", chinese), chinese


OPTIONS = {**ONE_API.default_options, **NEW_API.default_options}


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("gateway_channels", CHANNEL_FIELDS),
        ("gateway_tokens", TOKEN_FIELDS),
        ("gateway_options", OPTIONS),
    ],
)
def test_each_field_of_a_declaration_is_told(name: str, known: Mapping[str, object]) -> None:
    assert [field for field, _, _ in SETTINGS[name].fields] == [*known]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("secrets_file", "~/keys.env"),
        *(
            ("gateway_metrics_directory", path)
            for path in (
                *("/var/lib/prometheus/node-exporter", "/var/lib/openclaw-llm-gateway/metrics", "/usr/local/metrics"),
                *("/opt/openclaw-llm-gateway-metrics", "/run/metrics", "/srv/usr"),
            )
        ),
        ("gateway_directory", "/srv/gate-way_1.2+x"),
        ("gateway_port", 65535),
        ("gateway_tailscale_address", "100.127.255.254"),
        ("gateway_timezone", "Etc/GMT+8"),
        ("gateway_image", "registry.example:5000/a/one-api:v0.6.11-preview.7"),
        ("gateway_image_digest", SHA),
        ("gateway_image_archive", "with a blank.tar"),
        ("docker_source", "preinstalled"),
        ("docker_registry_mirrors", ("https://mirror.example",)),
        ("docker_https_proxy", "http://proxy.example:3128"),
        ("docker_no_proxy", "localhost,100.64.0.0/10,.ts.net"),
        ("gateway_environment", {"RELAY_TIMEOUT": "300", "a_1": "", "SESSION_SECRET": None, "PORT": None}),
        ("gateway_extra_hosts", {"host.docker.internal": "172.17.0.1", "a_b": "10.0.0.1", "nas": None}),
        ("gateway_force_keys", True),
        ("llm_model", "模型/x:free"),
        ("openclaw_unit", "openclaw@main.service"),
        ("openclaw_unit_required", True),
        ("openclaw_user", "claw"),
        ("openclaw_workspace", "/srv/工作 区/w.1"),
        ("openclaw_workspace", "~/.openclaw/workspace"),
        ("openclaw_unset_environment", ()),
    ],
)
def test_right_values_are_taken_as_they_are(name: str, value: Any) -> None:
    assert getattr(found(**{name: value}), name) == value


PATH = "an absolute path of letters, digits and . _ + - /"
MODEL = "must be a model name without spaces, commas or quotes"
WHOLE_URL = 'must be a whole URL that starts with "http://" or "https://"'


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("secrets_file", "~nobody/keys", "must be a path on the machine that runs pyinfra"),
        *(
            ("gateway_metrics_directory", path, "must be an absolute path of letters, digits and . _ + - /, of at most")
            for path in ("/", "/etc", "/etc/x", "/usr", "/usr/share/x", "/boot", "/var", "/var/lib", "/tmp/x", "/sys/a")
        ),
        ("gateway_directory", "opt/x", f"must be {PATH}"),
        ("gateway_directory", "/opt/a b", f"must be {PATH}"),
        ("gateway_directory", "/opt/%n", f"must be {PATH}"),
        ("gateway_directory", "/opt/../x", f"must be {PATH}"),
        ("gateway_directory", "/opt//x", f"must be {PATH}"),
        ("gateway_directory", "/opt/x/", f"must be {PATH}"),
        ("gateway_directory", "/", f"must be {PATH}"),
        ("gateway_port", 0, "must be a whole number from 1 to 65535"),
        ("gateway_port", 65536, "must be a whole number from 1 to 65535"),
        ("gateway_port", "3000", "must be a whole number from 1 to 65535"),
        ("gateway_port", True, "must be a whole number from 1 to 65535"),
        ("gateway_tailscale_address", "100.64.0", "must be an IPv4 address such as 100.64.0.1, or None"),
        ("gateway_tailscale_address", 3, "must be an address of the tailnet (100.64.0.0/10), or None"),
        ("gateway_tailscale_address", "8.8.8.8", "must be an address of the tailnet (100.64.0.0/10), or None"),
        ("gateway_tailscale_address", "192.168.0.1", "must be an address of the tailnet (100.64.0.0/10), or None"),
        ("gateway_timezone", "Asia Shanghai", 'must be a zone such as "Asia/Shanghai"'),
        ("gateway_extra_hosts", ["nas:1.2.3.4"], "must be a dict of names to IPv4 addresses"),
        ("gateway_extra_hosts", {"a b": "1.2.3.4"}, "must be a dict of names to IPv4 addresses"),
        ("gateway_extra_hosts", {"-x": "1.2.3.4"}, "must be a dict of names to IPv4 addresses"),
        ("gateway_extra_hosts", {"nas": "fd00::1"}, "must be a dict of names to IPv4 addresses"),
        ("gateway_extra_hosts", {"nas": 1}, "must be a dict of names to IPv4 addresses"),
        ("gateway_extra_hosts", {"x": "host-gateway"}, 'x: must be an address instead of "host-gateway"'),
        ("gateway_image", "justsong/one-api", "must be an image with its tag"),
        ("gateway_image", "registry.example:5000/one-api", "must be an image with its tag"),
        ("gateway_image", "justsong/one-api:latest", 'must be pinned: "latest" changes without you; name a version'),
        ("gateway_image_digest", "sha256:12", 'must be "sha256:…"'),
        ("gateway_start_timeout", 0, "must be a whole number from 1 to 3600"),
        ("docker_source", "snap", 'must be "distribution" or "docker" or "preinstalled"'),
        ("docker_registry_mirrors", "https://a.example", "must be a list of URLs"),
        ("docker_registry_mirrors", ["a.example"], WHOLE_URL),
        ("docker_http_proxy", "proxy.example:3128", WHOLE_URL),
        ("docker_http_proxy", "http://proxy.example:x", WHOLE_URL),
        ("docker_http_proxy", "http://[::1", WHOLE_URL),
        ("docker_http_proxy", "http://a b", 'must be a URL such as "https://example.com"'),
        ("docker_no_proxy", "a, b", "must be a comma list of hosts"),
        ("gateway_force_keys", 1, "must be True or False"),
        ("llm_model", "", MODEL),
        ("embedding_model", "a,b", MODEL),
        ("llm_model", "qwen\u200bplus", MODEL),
        ("embedding_model", "\ufeffembed", MODEL),
        ("embedding_dimensions", 0, "must be a whole number from 1 to 65536"),
        ("verification_timeout", 1.5, "must be a whole number from 1 to 3600"),
        ("openclaw_gateway", " a", "must be the name of a host in `gateways`"),
        ("openclaw_unit", "openclaw", 'must be a unit such as "openclaw-gateway.service"'),
        ("openclaw_unit", "../x.service", 'must be a unit such as "openclaw-gateway.service"'),
        ("openclaw_unit_scope", "root", 'must be "system" or "user"'),
        ("openclaw_unit_required", "yes", "must be True or False"),
        ("openclaw_user", "a b", "must be the name of a user"),
        ("openclaw_workspace", "workspace", WORKSPACE),
        ("openclaw_workspace", "~", WORKSPACE),
        ("openclaw_workspace", "~wei/workspace", WORKSPACE),
        ("openclaw_workspace", "$HOME/workspace", WORKSPACE),
        ("openclaw_workspace", "/", WORKSPACE),
        ("openclaw_workspace", "/srv/", WORKSPACE),
        ("openclaw_workspace", "/srv//w", WORKSPACE),
        ("openclaw_workspace", "/srv/../w", WORKSPACE),
        ("openclaw_workspace", "./w", WORKSPACE),
        ("openclaw_workspace", "~/.", WORKSPACE),
        ("openclaw_workspace", "/a\nb", WORKSPACE),
        ("openclaw_workspace", "", WORKSPACE),
        ("openclaw_workspace", 1, WORKSPACE),
        ("openclaw_unset_environment", "OPENAI_BASE_URL", "must be a list of names of variables"),
        ("openclaw_unset_environment", ["A B"], "must be the name of a variable"),
    ],
)
def test_a_wrong_value_is_told_with_its_name_and_the_fix(name: str, value: Any, told: str) -> None:
    wrong = problems(**{name: value})
    assert len(wrong) == 1
    assert wrong[0].startswith(f"{name}: {told}")
    assert wrong[0].endswith(f"it is {value!r}")


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        (["THEME=hush"], "must be a dict of variables"),
        ({"PORT": "3001"}, "PORT must not be set, because gateway_port says where it is published"),
        ({"TZ": "UTC"}, "TZ must not be set, because gateway_timezone sets it"),
        (
            {"SQL_DSN": "x"},
            "SQL_DSN must not be set, because gateway_database says where the deployment keeps all data",
        ),
        ({"RELAY_TIMEOUT": 300}, "RELAY_TIMEOUT must be a string on one line, in quotes: numbers, too"),
        ({"A": "b\nc"}, "A must be a string on one line"),
        ({"A=B": "c"}, "must have names of variables"),
        ({1: "c"}, "must have names of variables"),
        (
            {"MY_API_KEY": "sk-hush"},
            "MY_API_KEY may be a secret, and everybody on the host can read docker-compose.yml",
        ),
        ({"REDIS_CONN_STRING": "hush"}, "put the line REDIS_CONN_STRING=… into data/.env in the gateway's directory"),
        ({"HTTPS_PROXY": "http://wei:hush@192.168.1.9:7890"}, "HTTPS_PROXY may be a secret"),
    ],
)
def test_a_variable_that_is_not_taken_is_told_without_its_value(variables: Any, told: str) -> None:
    (text,) = problems(gateway_environment=variables)
    assert text.startswith("gateway_environment: ")
    assert told in text
    assert "hush" not in text


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("docker_http_proxy", "http://user:hush@proxy.example"),
        ("docker_registry_mirrors", ["https://user:hush@mirror.example"]),
        ("gateway_channels", channel(base_url="https://user:hush@a.example")),
        ("gateway_channels", channel(key="sk-hush")),
        ("gateway_channels", "sk-hush"),
        ("gateway_tokens", {"sk-hush": 1}),
        ("gateway_options", {"RetryTimes": "sk-hush"}),
        ("gateway_prune", "sk-hush"),
    ],
)
def test_a_secret_in_a_refused_value_is_not_shown(name: str, value: Any) -> None:
    wrong = problems(**{name: value})
    assert len(wrong) == 1
    assert "hush" not in wrong[0]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("gateway_prot", "did you mean 'gateway_port'?"),
        ("gatewayport", "did you mean 'gateway_port'?"),
        ("embeding_model", "did you mean 'embedding_model'?"),
        ("openclaw_colour", "group_data/all.py lists them all"),
        ("verification_model_of_choice", "group_data/all.py lists them all"),
    ],
)
def test_a_misspelt_name_is_told(name: str, told: str) -> None:
    assert problems(**{name: 1}) == [f"{name}: no such setting; {told}"]


@pytest.mark.parametrize("name", ["DASHSCOPE_API_KEY", "ONEAPI_ROOT_PASSWORD", "MY_TOKEN", "SESSION_SECRET"])
def test_a_secret_among_the_settings_is_refused_and_not_shown(name: str) -> None:
    wrong = problems(**{name: "hush"})
    assert len(wrong) == 1
    assert wrong[0].startswith(f"{name}: secrets are not taken from the inventory or --data")
    assert f"export {name}=…" in wrong[0]
    assert "hush" not in wrong[0]


def test_names_of_others_are_left_alone() -> None:
    """pyinfra's own for its connectors, its arguments, and what a person adds for other deploys."""
    connectors = get_all_connectors()
    theirs = {key for name in ("ssh", "local", "fake") for key in connectors[name].data_cls.__annotations__}
    assert "ssh_user" in theirs
    assert problems(**dict.fromkeys(theirs | {"_sudo", "_sudo_password", "backup_hour", "tags"}, "x")) == []


def test_the_user_of_a_user_unit_must_be_named() -> None:
    assert problems(openclaw_unit_scope="user") == [
        'openclaw_user: name the user whose unit it is, because openclaw_unit_scope is "user"'
    ]
    assert problems(openclaw_unit_scope="user", openclaw_user="claw") == []


def test_what_was_edited_wrongly_in_group_data_is_told_like_any_setting(tmp_path: Path) -> None:
    """People set values in group_data/all.py itself; pyinfra reads it, and what it has not is as by default."""
    text = (ROOT / "group_data/all.py").read_text().replace("gateway_port = 3000", 'gateway_port = "3000"')
    edited = tmp_path / "all.py"
    edited.write_text(text.replace("gateway_start_timeout = 120\n", ""))
    data = {name: value for name, value in runpy.run_path(str(edited)).items() if not name.startswith("__")}
    found, wrong = host_data.check(data)
    assert wrong == ["gateway_port: must be a whole number from 1 to 65535; it is '3000'"]
    assert found.gateway_start_timeout == 120


def test_settings_of_the_daemon_need_a_docker_that_is_ours_to_configure() -> None:
    assert problems(docker_source="preinstalled", docker_registry_mirrors=["https://mirror.example"]) == [
        'docker_registry_mirrors: docker_source is "preinstalled", so nothing is configured; leave it out'
    ]


@pytest.mark.parametrize(
    "path",
    [
        *("/opt/openclaw-llm-gateway", "/opt/openclaw-llm-gateway/data", "/var/lib/openclaw-llm-gateway"),
        *("/var/lib/openclaw-llm-gateway/firewall", "/var/lib/openclaw-llm-gateway/metrics/x"),
    ],
)
def test_metrics_are_not_written_among_the_files_of_the_gateway(path: str) -> None:
    (told,) = problems(gateway_metrics_directory=path)
    assert told.startswith(f"gateway_metrics_directory: {path} is within what is the gateway's own: name the directory")
