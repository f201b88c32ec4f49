"""An agent's budget on real hosts: told at 80 %, refused at 100 %, explained, and let in again as it is meant to be."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.lab.asking_agent import ask, is_completion
from tests.lab.conftest import INVENTORY, Lab, Run, look_with_canary
from tests.lab.faults import await_that
from tests.lab.rows import DIRECTORY
from tests.lab.seen_status import hosts, status

pytestmark = pytest.mark.flavours

HOST, AGENT = "gwbu", "agentbu"
LIMIT = 1_000_000
BOTH = ("--limit", HOST, "--limit", AGENT)
STATE = "/var/lib/openclaw-llm-gateway"


def data(tokens: int = LIMIT, at_limit: str = "disable") -> list[str]:
    """The settings that give the agent a budget; 0 for none."""
    budget = {"tokens": tokens, "per": "month", "at_limit": at_limit} if tokens else None
    return ["--data", f"openclaw_gateway={HOST}", "--data", f"openclaw_budget={json.dumps(budget)}"]


def _of_agent(budgets: list[dict[str, Any]]) -> dict[str, Any]:
    """What is told of the agent: by `--data`, all OpenClaw hosts of the inventory have the same budget."""
    (found,) = [each for each in budgets if each["agent"] == AGENT]
    return found


@dataclass(frozen=True)
class Budgeted:
    """A gateway, and an agent that has a budget there."""

    lab: Lab

    def deploy(self, *settings: str) -> Run:
        return self.lab.deploy(*BOTH, *(settings or data()))

    def changes_nothing(self, *settings: str) -> None:
        run = self.deploy(*settings)
        assert run.code == 0, run.output[-4000:]
        assert run.output.count("nothing was changed") == 2, run.output[-4000:]

    def sql(self, statement: str) -> str:
        return self.lab.ssh(HOST, f"sqlite3 -cmd '.timeout 15000' {DIRECTORY}/data/one-api.db", statement)

    def status_of_token(self) -> str:
        return self.sql(f"SELECT status FROM tokens WHERE name = '{AGENT}';")  # noqa: S608 - of ours

    def use(self, tokens: int) -> None:
        """Log what the agent would have used."""
        self.sql(
            "INSERT INTO logs (user_id, created_at, type, content, token_name, model_name, quota, prompt_tokens,"
            f" completion_tokens) SELECT 1, unixepoch(), 2, '', '{AGENT}', 'm', 0, {tokens}, 0;"
        )

    def look(self, *options: str) -> dict[str, Any]:
        """Have the host look at its budgets, as its timer does; what it says of the agent."""
        if options:
            told = self.lab.ssh(HOST, f"{DIRECTORY}/budgets {' '.join(options)}")
        else:
            self.lab.ssh(HOST, "systemctl start openclaw-llm-gateway-budgets.service")
            told = self.lab.ssh(HOST, f"cat {STATE}/budgets.json")
        return _of_agent(json.loads(told)["budgets"])

    def alarms(self) -> str:
        return self.lab.ssh(HOST, f"cat {STATE}/problems/budget-* 2> /dev/null || true")

    def asks(self) -> str:
        """What OpenClaw on the agent's host is answered now."""
        return ask(self.lab, AGENT)

    def shown(self) -> tuple[Run, dict[str, Any]]:
        run = status(INVENTORY, "--json", *BOTH, *data())
        assert run.code == 0, run.output[-3000:]
        return run, hosts(run)


@pytest.fixture(scope="module")
def budgeted(lab: Lab) -> Iterator[Budgeted]:
    """Both deployed, with a budget."""
    with lab.more_hosts(f"{HOST}:ready", f"{AGENT}:agent"):
        made = Budgeted(lab)
        run = made.deploy()
        assert run.code == 0, run.output[-4000:]
        yield made


def test_what_an_agent_asks_for_counts_and_a_second_run_changes_nothing(budgeted: Budgeted) -> None:
    before = budgeted.look()["used"]
    assert before > 0, "the verification from the agent's host"
    assert is_completion(budgeted.asks())
    await_that(lambda: budgeted.look()["used"] > before, "its answer to be logged")
    assert "ActiveState=active" in budgeted.lab.ssh(
        HOST, "systemctl show openclaw-llm-gateway-budgets.timer -p ActiveState"
    )
    budgeted.changes_nothing()


def test_it_is_told_at_80_percent(budgeted: Budgeted) -> None:
    budgeted.use(int(LIMIT * 0.85))
    assert budgeted.look()["used"] >= LIMIT * 0.85
    assert f"budget of {AGENT} for" in budgeted.alarms()
    assert is_completion(budgeted.asks())
    _, shown = budgeted.shown()
    assert any(
        f"the budget of {AGENT} for" in each and "nearly used up: 85 %" in each for each in shown[HOST]["attention"]
    )
    budget = _of_agent(shown[HOST]["gateway"]["budgets"])
    assert (budget["agent"], budget["limit"], budget["is_refused"]) == (AGENT, LIMIT, False)
    assert budget["left"] == LIMIT - budget["used"]
    look_with_canary(budgeted.lab, HOST)
    assert f"budget of {AGENT} for" in budgeted.lab.ssh(HOST, f"cat {STATE}/canary.state")


def test_it_is_refused_at_100_percent_and_everything_says_why(budgeted: Budgeted) -> None:
    budgeted.use(LIMIT)
    assert budgeted.look()["used"] >= LIMIT
    assert budgeted.status_of_token() == "4"
    # Go ends the connection with the body unread, so that an answer may be lost on its way.
    await_that(lambda: "401" in budgeted.asks(), "a refusal")
    told = f"the budget of {AGENT} for"
    run = budgeted.lab.verify(*BOTH, *data())
    run.must_fail_with(told, "is used up (", "so its token is refused until", "raise openclaw_budget and deploy")
    _, shown = budgeted.shown()
    assert _of_agent(shown[HOST]["gateway"]["budgets"])["is_refused"]
    assert any(told in each for each in shown[AGENT]["attention"]), shown[AGENT]
    assert shown[HOST]["drift"]["differs"] == "no", shown[HOST]["drift"]
    again = budgeted.deploy()
    again.must_fail_with(told)
    assert budgeted.status_of_token() == "4", "a deployment does not let it in"
    others = budgeted.sql("SELECT count(*) FROM tokens WHERE name LIKE 'llm-gateway-%' AND status = 1;")
    assert others == "2"


def test_a_raised_budget_lets_it_in_again(budgeted: Budgeted) -> None:
    run = budgeted.deploy(*data(LIMIT * 10))
    assert run.code == 0, run.output[-4000:]
    assert budgeted.status_of_token() == "1"
    assert is_completion(budgeted.asks())
    assert budgeted.alarms() == ""


def test_a_new_month_lets_it_in_again_and_not_whom_a_person_has_shut_out(budgeted: Budgeted) -> None:
    budgeted.use(LIMIT * 10)
    budgeted.look()
    assert budgeted.status_of_token() == "4"
    later = ("--at", '"$(date -d "+32 days" +%s)"')
    assert budgeted.look(*later)["used"] == 0
    assert budgeted.status_of_token() == "1"
    assert is_completion(budgeted.asks())
    budgeted.sql(f"UPDATE tokens SET status = 2 WHERE name = '{AGENT}';")  # noqa: S608 - of ours
    budgeted.look()
    budgeted.look(*later)
    assert budgeted.status_of_token() == "2"
    budgeted.sql(f"UPDATE tokens SET status = 1 WHERE name = '{AGENT}';")  # noqa: S608 - of ours


def test_a_restored_gateway_counts_by_its_own_log_and_the_budget_of_now(budgeted: Budgeted) -> None:
    def run(script: str, *arguments: str) -> None:
        done = budgeted.lab.pyinfra("-y", *BOTH, *arguments, INVENTORY, f"deploys/{script}.py")
        assert done.code == 0, done.output[-4000:]

    budgeted.look()
    assert budgeted.status_of_token() == "4"
    used = budgeted.look()["used"]
    run("backup", *data(LIMIT * 10))
    raised = budgeted.deploy(*data(LIMIT * 100))
    assert raised.code == 0, raised.output[-4000:]
    budgeted.use(LIMIT)
    assert budgeted.look()["used"] > used + LIMIT
    run("restore", *data(LIMIT * 100))
    assert budgeted.status_of_token() == "1", "the backup has it switched off, and now it has a larger budget"
    assert used <= budgeted.look()["used"] < used + LIMIT
    lowered = budgeted.deploy(*data(LIMIT * 10))
    lowered.must_fail_with(f"the budget of {AGENT} for")
    assert budgeted.status_of_token() == "4"


def test_a_rotation_counts_on_and_a_budget_that_is_taken_away_gives_the_token_back(budgeted: Budgeted) -> None:
    assert budgeted.status_of_token() == "4"
    rotated = budgeted.lab.pyinfra(
        "-y", *BOTH, *data(LIMIT * 10), "--data", "keys=tokens", INVENTORY, "deploys/rotate_keys.py"
    )
    assert rotated.code == 0, rotated.output[-4000:]
    assert budgeted.look()["used"] >= LIMIT * 10
    assert budgeted.status_of_token() == "4", "the new token counts with the old one"
    run = budgeted.deploy(*data(0))
    assert run.code == 0, run.output[-4000:]
    assert f"token {AGENT}: status exhausted → enabled" in run.output
    assert is_completion(budgeted.asks())
    left = budgeted.lab.ssh(HOST, f"ls {DIRECTORY} {STATE} /etc/systemd/system; ls {STATE}/problems || true")
    assert "budget" not in left
    budgeted.changes_nothing(*data(0))
