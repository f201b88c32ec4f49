"""Commands in messages: as `pyinfra INVENTORY …` in the steps, and as it was typed where that was `llm-gateway …`."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from llm_gateway.command import commands
from llm_gateway.command.spelling import Spelling
from llm_gateway.hosts import invocation
from llm_gateway.model.checkout import PACKAGE, ROOT


@pytest.mark.parametrize(
    ("running", "told", "expected"),
    [
        ("deploy", "do not match; run deploy.py", "do not match; run `llm-gateway deploy`"),
        ("plan", "deploy first (pyinfra INVENTORY deploy.py)", "deploy first (`llm-gateway deploy`)"),
        ("plan", "deploy (pyinfra inventory.py deploy.py)", "deploy (`llm-gateway deploy`)"),
        ("status", "run deploys/migrate.py --data source=gw1 again", "run `llm-gateway migrate --source gw1` again"),
        ("deploy", "`python deploys/plan.py INVENTORY --check` finds", "`llm-gateway plan --check` finds"),
        ("deploy", "python deploys/export.py INVENTORY --output DIRECTORY", "`llm-gateway export --output DIRECTORY`"),
        ("restore", "Name one: --data host=… (gw1, gw2)", "Name one: --host … (gw1, gw2)"),
        ("restore", "If that is meant: --data yes=gw1", "If that is meant: --confirm gw1"),
        ("restore", "alone (--data backup=x/one-api.db).", "alone (--backup x/one-api.db)."),
        ("migrate", "Add --data target=HOST, one of: gw2. Nothing", "Add --target HOST, one of: gw2. Nothing"),
        ("migrate", "source=gw9: no such host", "--source gw9: no such host"),
        ("migrate", "limit=x must be a number", "--time-limit x must be a number"),
        ("remove", "yes=gw9 names gw9, and", "--confirm gw9 names gw9, and"),
        ("history", "--data last=x: a number from 1, or all", "--last x: a number from 1, or all"),
        ("rotate", "say what to rotate with --data keys=…", "say what to rotate with --keys …"),
        ("rotate", "(rotate_keys.py or deploy.py)", "(`llm-gateway rotate` or `llm-gateway deploy`)"),
        ("logs", "--data follow=false", "--no-follow"),
        ("deploy", "or run pyinfra with --sudo", "or run `llm-gateway deploy` with --sudo"),
        *(
            (running, text, text)
            for running, text in (
                ("logs", "--data follow=true"),
                ("deploy", "`--data gateway_force_keys=True` sends them"),
                ("deploy", "/root/x/deploy.py, my-deploy.py and source=gw1 stay"),
                ("status", "the last run, deploy.py by wei@laptop: failed"),
                ("deploy", "deploy.py: error"),
            )
        ),
    ],
)
def test_what_a_step_says_is_spelled_as_it_was_typed(running: str, told: str, expected: str) -> None:
    assert Spelling(["llm-gateway"], commands.by_name(running))(told) == expected


def test_the_inventory_that_was_typed_is_named() -> None:
    spell = Spelling(["python", "-m", "llm_gateway"], commands.by_name("status"), "my hosts.py")
    assert spell("run deploy.py") == "run `python -m llm_gateway deploy 'my hosts.py'`"


def test_with_pyinfra_it_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(invocation, "_spellings", [])
    assert invocation.spelled("run pyinfra INVENTORY deploy.py") == "run pyinfra INVENTORY deploy.py"
    monkeypatch.setattr(invocation, "_typed", [])
    invocation.typed(["llm-gateway", "plan"], Spelling(["llm-gateway"], commands.by_name("plan")), ROOT)
    assert invocation.spelled("run pyinfra INVENTORY deploy.py") == "run `llm-gateway deploy`"


def texts() -> Iterator[str]:
    """The texts of our steps that name a command; what is in braces stands for a name."""
    for path in sorted(PACKAGE.rglob("*.py")):
        floor = path.relative_to(PACKAGE).parts[0]
        if floor in ("command", "model") or path.name in ("settings.py", "export_text.py", "invocation.py"):
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        said = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}  # docstrings
        for node in ast.walk(tree):
            if id(node) not in said and isinstance(node, ast.JoinedStr | ast.Constant):
                yield _text(node)


def _text(node: ast.JoinedStr | ast.Constant) -> str:
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    parts = (part.value if isinstance(part, ast.Constant) else "gw1" for part in node.values)
    return "".join(map(str, parts))


_SCRIPTS = "|".join(re.escape(Path(command.script).name) for command in commands.COMMANDS)


def test_no_text_of_a_step_escapes_it() -> None:
    """Whatever is written in future: what begins as a call of pyinfra is one that this knows."""
    found = [text for text in texts() if re.search(rf"pyinfra (INVENTORY|inventory)|deploys/({_SCRIPTS})", text)]
    assert len(found) > 15
    spell = Spelling(["llm-gateway"], commands.by_name("deploy"))
    left = [spell(text) for text in found]
    assert [text for text in left if re.search(r"pyinfra (INVENTORY|inventory)|deploys/", text)] == []
