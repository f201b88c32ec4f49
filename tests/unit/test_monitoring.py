"""`examples/monitoring/`: rules and dashboard go with the metrics; an alarm goes by Prometheus and Alertmanager."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from llm_gateway.model.checkout import ROOT
from tests.unit.alert_receivers import receiver
from tests.unit.canary_kit import COMPLETION, SCRIPT, Canary
from tests.unit.local_host import TOOLS

pytestmark = pytest.mark.slow

HERE = ROOT / "examples" / "monitoring"
RULES = HERE / "rules.yml"
_METRIC = re.compile(r"openclaw_llm_gateway_[a-z_]+")
WITHIN_S = 60.0


@pytest.fixture(scope="module")
def tools() -> Path:
    """The directory of Debian's prometheus, promtool and others."""
    done = subprocess.run(
        [str(ROOT / "scripts" / "prometheus.sh")], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip())


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Canary]:
    """A gateway's host."""
    found = Canary(tmp_path, TOOLS[0])
    yield found
    found.close()


def _written(host: Canary) -> set[str]:
    host.must_look()
    return set(_METRIC.findall(re.sub(r"(?m)^#.*\n", "", host.metrics)))


def test_promtool_finds_nothing_in_the_rules(tools: Path) -> None:
    for command in (("check", "rules", "--lint-fatal", str(RULES)), ("test", "rules", str(HERE / "tests.yml"))):
        done = subprocess.run([str(tools / "promtool"), *command], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "SUCCESS" in done.stdout


def test_each_rule_is_tested_with_an_alarm() -> None:
    text, tests = RULES.read_text(), (HERE / "tests.yml").read_text()
    rules = re.findall(r"^ +- alert: (\w+)$", text, re.M)
    told = re.findall(r"alertname: (\w+)\n +exp_alerts:", tests)
    assert len(rules) > 5
    assert sorted(rules) == sorted(set(told))


def test_what_promtool_and_grafana_ask_for_is_what_the_canary_writes(host: Canary, tools: Path) -> None:
    written = _written(host)
    checked = subprocess.run(
        [str(tools / "promtool"), "check", "metrics"], input=host.metrics, capture_output=True, text=True, check=False
    )
    assert (checked.returncode, checked.stderr) == (0, "")
    asked = set(_METRIC.findall(RULES.read_text())) - {"openclaw_llm_gateway"}
    shown = {each for panel in _panels() for target in panel["targets"] for each in _METRIC.findall(target["expr"])}
    assert asked <= written
    assert shown == written, "the dashboard shows each of them"


def _panels() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((HERE / "dashboard.json").read_text())["panels"]
    return found


def test_the_dashboard_is_whole() -> None:
    """As Grafana's own linter asks: a variable for the data source, job and instance in each query, units, texts."""
    dashboard = json.loads((HERE / "dashboard.json").read_text())
    assert [each["name"] for each in dashboard["templating"]["list"]] == ["datasource", "job", "instance"]
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        assert panel["title"]
        assert panel["description"]
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        assert panel["fieldConfig"]["defaults"]["unit"]
        for target in panel["targets"]:
            assert 'job=~"$job", instance=~"$instance"' in target["expr"]
        place = panel["gridPos"]
        columns = range(place["x"], place["x"] + place["w"])
        cells = {(x, y) for x in columns for y in range(place["y"], place["y"] + place["h"])}
        assert columns.stop <= 24
        assert not cells & taken
        taken |= cells


def test_the_queries_of_the_dashboard_are_promql(tools: Path, tmp_path: Path) -> None:
    """By promtool, as rules: it has no other way to read a query without a server."""
    queries = [target["expr"] for panel in _panels() for target in panel["targets"]]
    assert len(queries) >= 10
    rules = [{"record": f"r{place}", "expr": query} for place, query in enumerate(queries)]
    file = tmp_path / "rules.json"  # JSON is YAML
    file.write_text(json.dumps({"groups": [{"name": "g", "rules": rules}]}))
    done = subprocess.run([str(tools / "promtool"), "check", "rules", str(file)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def _free_port() -> int:
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        port: int = made.getsockname()[1]
        return port


@contextmanager
def _running(log: Path, *command: str) -> Iterator[None]:
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, cwd=log.parent)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def _with_share_of(tools: Path) -> list[str]:
    """Call a command with the packages' /usr/share: Debian's Alertmanager reads its templates there alone."""
    own = [] if os.geteuid() == 0 else ["--map-root-user"]
    script = 'mount --bind "$0" /usr/share && exec "$@"'
    return ["unshare", "--mount", *own, "sh", "-c", script, str(tools.parent / "share")]


def _await(condition: Callable[[], object], what: str, log: Path) -> None:
    until = time.monotonic() + WITHIN_S
    while not condition():
        assert time.monotonic() < until, f"{what}: {log.read_text()[-3000:]}"
        time.sleep(0.1)


def _is_ready(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


def test_an_alarm_goes_through_debians_prometheus_and_alertmanager(host: Canary, tools: Path, tmp_path: Path) -> None:
    """The canary's metrics, node_exporter, Prometheus with the rules, Alertmanager, a webhook; and its end."""
    exporter, prometheus, alertmanager = _free_port(), _free_port(), _free_port()
    with receiver() as web, ExitStack() as running:
        # As the rules are, but for how long something has to last.
        (tmp_path / "rules.yml").write_text(re.sub(r"\bfor: \w+", "for: 0s", RULES.read_text()))
        (tmp_path / "alertmanager.yml").write_text(
            json.dumps(
                {
                    "route": {"receiver": "us", "group_by": ["alertname"], "group_wait": "1s", "group_interval": "1s"},
                    "receivers": [{"name": "us", "webhook_configs": [{"url": f"{web.url}/alerts"}]}],
                }
            )
        )
        (tmp_path / "prometheus.yml").write_text(
            json.dumps(
                {
                    "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
                    "rule_files": ["rules.yml"],
                    "alerting": {"alertmanagers": [{"static_configs": [{"targets": [f"127.0.0.1:{alertmanager}"]}]}]},
                    "scrape_configs": [
                        {"job_name": "node", "static_configs": [{"targets": [f"127.0.0.1:{exporter}"]}]}
                    ],
                }
            )
        )
        host.must_look()
        start = running.enter_context
        start(
            _running(
                tmp_path / "exporter.log",
                str(tools / "prometheus-node-exporter"),
                "--collector.disable-defaults",
                "--collector.textfile",
                f"--collector.textfile.directory={host.home / 'metrics'}",
                f"--web.listen-address=127.0.0.1:{exporter}",
            )
        )
        start(
            _running(
                tmp_path / "alertmanager.log",
                *_with_share_of(tools),
                str(tools / "prometheus-alertmanager"),
                "--config.file=alertmanager.yml",
                "--storage.path=alertmanager",
                f"--web.listen-address=127.0.0.1:{alertmanager}",
                "--cluster.listen-address=",
            )
        )
        log = tmp_path / "prometheus.log"
        start(
            _running(
                log,
                str(tools / "prometheus"),
                "--config.file=prometheus.yml",
                "--storage.tsdb.path=prometheus",
                f"--web.listen-address=127.0.0.1:{prometheus}",
            )
        )
        _await(lambda: _is_ready(f"http://127.0.0.1:{prometheus}/-/ready"), "Prometheus is not ready", log)
        _await(
            lambda: _is_ready(f"http://127.0.0.1:{alertmanager}/-/ready"),
            "Alertmanager is not ready",
            tmp_path / "alertmanager.log",
        )

        def told(status: str) -> list[dict[str, Any]]:
            alarms = [alarm for each in web.got for alarm in each.body["alerts"]]
            return [
                each
                for each in alarms
                if (each["status"], each["labels"]["alertname"]) == (status, "LLMGatewayNoCompletion")
            ]

        host.answer = (503, b"")
        for _ in range(3):
            host.must_look()
        _await(lambda: told("firing"), "no alarm came", log)
        (alarm,) = told("firing")[:1]
        assert alarm["labels"]["severity"] == "critical"
        assert alarm["annotations"]["summary"] == f"127.0.0.1:{exporter}: the gateway answers no completion"
        assert told("resolved") == []
        host.answer = (200, COMPLETION)
        host.must_look()
        _await(lambda: told("resolved"), "its end was not told", log)


def test_metrics_are_those_of_the_script() -> None:
    """What the page on alarms and the rules call them is not renamed in passing."""
    names = set(re.findall(r"^ +metric ([a-z_]+) ", SCRIPT.read_text(), re.M))
    assert {f"openclaw_llm_gateway_{name}" for name in names} | {"openclaw_llm_gateway_problem"} >= set(
        _METRIC.findall(RULES.read_text())
    ) - {"openclaw_llm_gateway"}
    assert os.access(ROOT / "scripts" / "prometheus.sh", os.X_OK)
