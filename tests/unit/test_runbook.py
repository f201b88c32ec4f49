"""The page that a failed run names: it is there, it fits what failed, and it is told once, at the end."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

from llm_gateway.command import chinese, runbook
from llm_gateway.command.commands import COMMANDS
from llm_gateway.command.runbook import TOPICS
from llm_gateway.inputs.settings import SETTINGS
from llm_gateway.model.checkout import PACKAGE, ROOT
from llm_gateway.model.columns import WIDTH
from scripts import pages

NAMED = sorted({topic.page for topic in TOPICS} | {runbook.OTHERWISE})


@pytest.mark.parametrize("page", NAMED)
@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_page_and_its_anchor_are_there(page: str, language: str) -> None:
    path, _, anchor = page.partition("#")
    english, here = ROOT / path, ROOT / runbook.place(page, ROOT, language).partition("#")[0]
    assert here == (english if language == "en" else pages.twin(english))
    assert not anchor or anchor in pages.anchors(here.read_text(encoding="utf-8"))


@cache
def texts() -> list[str]:
    """All texts of our own, names in braces for what stands in them."""
    files = (path for path in PACKAGE.rglob("*.py") if path != Path(runbook.__file__))
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in files]
    scripts = [path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.sh")]
    return [text for tree in trees for node in ast.walk(tree) if (text := _text(node))] + scripts


def _text(node: ast.AST) -> str:
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


@pytest.mark.parametrize("part", [part for topic in TOPICS for part in topic.says])
def test_an_error_that_leads_to_a_page_is_still_one_of_ours(part: str) -> None:
    assert part.removesuffix(": ") in SETTINGS or any(part in text for text in texts())


@pytest.mark.parametrize("step", [step for topic in TOPICS for step in topic.steps])
def test_a_step_that_leads_to_a_page_is_still_one_of_ours(step: str) -> None:
    assert any(text.startswith(step) for text in [*chinese.STEPS, *texts()])


def test_the_scripts_that_lead_to_pages_are_ours() -> None:
    ours = {Path(command.script).name for command in COMMANDS}
    named = {script for topic in TOPICS for script in topic.scripts}
    assert named <= ours
    assert ours - named == {"deploy.py", "status.py", "history.py", "logs.py"}, "which find-out.md helps with"


KINDS = {
    "another run is at work on this host (deploy.py by wei@laptop since 09:00): run again": "interrupted-run.md#wait",
    "Interrupted: run the same command again; it resumes where this run stopped.": "interrupted-run.md",
    "its state cannot be read: the connection is lost: once the host can be reached, run …": "interrupted-run.md",
    "gw1: DASHSCOPE_API_KEY: this secret is missing; `export DASHSCOPE_API_KEY=…`": "settings.md#where-secrets",
    "2 problems with the settings; nothing was changed.\n  - gw1: gateway_prot: no such setting": "settings.md",
    "a problem with the settings; nothing was changed.\n  - gw1: gateway_channels: must be a list": "channels.md#know",
    "There is no inventory file my-hots.py: correct the path.": "getting-started.md#deploy-to-your-own",
    "No host was reached, so nothing was changed; the errors above say why.": "getting-started.md#prepare",
    "the gateway refuses the access token in /opt/x/secrets.env: somebody": "leaked-key.md#repair-admin-access",
    "gateway_image: a:b is not on this host, and no registry can be reached from it (…)": "docker.md#deploy-without",
    "its Docker runs rootless (/home/x), so it can neither publish": "docker.md#know-what-is-refused",
    "it has no Tailscale address (interface tailscale0): log in with `tailscale up`": "networking.md#know-what-happens",
    "the upstream of m refuses the provider's key (401: …): hand in the right one": "no-answer.md#read",
    "One API refuses the token of agent1: HTTP 401. If it is disabled or expired": "no-answer.md#read",
    "agent1 gets no connection to its gateway gw1 on 100.64.0.1:3000 (refused)": "no-answer.md#read",
    "One API refuses the token of a1: …; the budget of a1 for 2026-12 is used up (…)": "usage.md#budgets",
    "a problem with the settings; nothing was changed.\n  - gw1: gateway_alerts: must be": "alarms.md#say-where",
    "its gateway was moved to gw2, and is stopped here for good: take this host": "migrate.md",
    "the upgrade of gw1 was not rolled back: the host undoes this already": "interrupted-run.md#see-what-the-host",
    "openclaw_unit: there is none": "openclaw.md#fix-what-a-run-says",
    "firewall: the loaded rules do not match the settings": "networking.md#choose-who",
    "a container is there that nobody knows": "find-out.md",
}


@pytest.mark.parametrize(("error", "page"), KINDS.items())
def test_each_kind_of_error_leads_to_its_page(error: str, page: str) -> None:
    assert page in runbook.page([error], [], "deploy.py")


@pytest.mark.parametrize(
    ("error", "script", "page"),
    [
        (
            "it does not use /o/data/one-api.db (SQL_DSN is set), which is all that this can move",
            "migrate.py",
            "#know-what-is-refused",
        ),
        (
            "its gateway was moved to gw2, and serves there",
            "restore.py",
            "#restore-a-host-whose-gateway-was-moved-away",
        ),
        ("its database is damaged (x): take another backup", "restore.py", "restore.md#check-what-will-be-restored"),
        ("rotation incomplete: x; run this again to resume", "rotate_keys.py", "leaked-key.md"),
        ("there is nothing to go back to", "rollback.py", "roll-back.md"),
        ("one thing", "backup.py", "keep-backups.md"),
        ("one thing", "verify.py", "no-answer.md"),
    ],
)
def test_a_script_of_its_own_leads_to_its_page(error: str, script: str, page: str) -> None:
    assert page in runbook.page([error], [], script)


@pytest.mark.parametrize(
    ("step", "page"),
    [
        ("Pull the image", "docker.md#deploy-without"),
        ("Check the scheduled backups", "keep-backups.md"),
        ("Check the canary", "alarms.md#know-what-is-told"),
        ("Verify with a real completion and a real embedding", "no-answer.md#read"),
        ("Upgrade the gateway: the new image on a copy first, then the switch", "roll-back.md#upgrade"),
    ],
)
def test_a_step_leads_to_its_page_where_its_words_do_not(step: str, page: str) -> None:
    assert page in runbook.page(["exit code 1"], [step], "deploy.py")


@pytest.mark.parametrize("step", [step for step in chinese.STEPS if step.startswith("Check ")])
def test_each_check_at_the_end_of_a_run_has_its_page(step: str) -> None:
    assert runbook.page(["what is wrong"], [step], "deploy.py") != runbook.OTHERWISE


def test_the_path_is_short_in_the_checkout_and_whole_elsewhere(tmp_path: Path) -> None:
    page = "docs/runbook/no-answer.md#read-what-verification-says"
    assert runbook.place(page, ROOT) == page
    assert runbook.place(page, ROOT / "docs", "zh") == page.removeprefix("docs/").replace(".md", ".zh-CN.md")
    assert runbook.place(page, tmp_path) == f"{ROOT / page}"


def test_the_line_fits_a_terminal() -> None:
    assert max(len(f"More: {runbook.place(page, ROOT)}") for page in NAMED) < WIDTH
