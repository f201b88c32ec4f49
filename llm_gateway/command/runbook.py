"""Which page of docs/ helps with what went wrong: the one line that a failed run ends with beside the next command."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pyinfra import logger
from pyinfra.api.state import StateStage
from pyinfra.context import ctx_state

from llm_gateway.command import messages
from llm_gateway.hosts import invocation
from llm_gateway.model.checkout import ROOT
from llm_gateway.model.wording import CHINESE, ENGLISH

_RUNBOOK = "docs/runbook"
OTHERWISE = f"{_RUNBOOK}/find-out.md"
_ADMIN = f"{_RUNBOOK}/leaked-key.md#repair-admin-access-that-was-changed-by-hand"
_VERIFICATION = f"{_RUNBOOK}/no-answer.md#read-what-verification-says"
_SECRETS = "docs/settings.md#where-secrets-come-from"
_OPENCLAW = "docs/openclaw.md#fix-what-a-run-says-about-openclaw"
_DOCKER = "docs/docker.md#know-what-is-refused"
_NO_REGISTRY = "docs/docker.md#deploy-without-a-registry-mainland-china-air-gap"
_HOSTS = "docs/getting-started.md#prepare-your-hosts"
_INVENTORY = "docs/getting-started.md#deploy-to-your-own-servers"
_TAILSCALE = "docs/networking.md#know-what-happens-when-tailscale-goes"
_TAKE_OVER = "docs/take-over.md#know-what-is-refused"


@dataclass(frozen=True)
class Topic:
    """A page, and the failures that it helps with: all that is given has to hold.

    Parameters: `page`, a path from the top of the checkout, with an anchor; `says`, parts of errors, one of which is in
    what was told; `steps`, names of steps, or how they begin, one of which has failed; `scripts`, one of which was run.
    """

    page: str
    says: Sequence[str] = ()
    steps: Sequence[str] = ()
    scripts: Sequence[str] = ()

    def helps(self, errors: Sequence[str], failed: Sequence[str], script: str) -> bool:
        """Whether it is about such a failure."""
        return (
            (not self.says or any(part in error for part in self.says for error in errors))
            and (not self.steps or any(step.startswith(tuple(self.steps)) for step in failed))
            and (not self.scripts or script in self.scripts)
        )


TOPICS = (
    # What one has to know whatever was run.
    Topic(
        f"{_RUNBOOK}/interrupted-run.md",
        ["Interrupted: run the same command again", "the connection is lost", "the connection to the host is lost"],
    ),
    Topic(
        f"{_RUNBOOK}/interrupted-run.md#wait-for-somebody-elses-run",
        ["another run is at work", "another run is writing"],
    ),
    Topic(
        f"{_RUNBOOK}/interrupted-run.md#see-what-the-host-undid-by-itself",
        ["is not rolled back yet", "the host undoes this already", "run again in a moment"],
    ),
    Topic(_ADMIN, ["refuses the access token", "knows another root password", "is not root's either"]),
    Topic("docs/alarms.md#say-where-alarms-go", ["gateway_alerts: "]),
    Topic(_SECRETS, ["this secret ", "secrets_file: ", "secrets are not taken from"]),
    Topic(_NO_REGISTRY, ["no registry can be reached", "the image was not pulled", "gateway_image_archive: "]),
    Topic("docs/docker.md#fetch-the-tiktoken-files", ["gateway_tiktoken_directory: ", "the tiktoken files can be had"]),
    # What a script refuses, or did not come to the end of.
    Topic(
        f"{_RUNBOOK}/migrate.md#know-what-is-refused",
        ["which is all that this can move", "its database is new-api's", "has a gateway already", "no enabled account"],
        scripts=["migrate.py"],
    ),
    Topic(
        f"{_RUNBOOK}/restore.md#restore-a-host-whose-gateway-was-moved-away",
        ["its gateway was moved to", "is on its way here"],
        scripts=["restore.py"],
    ),
    Topic(f"{_RUNBOOK}/migrate.md", ["its gateway was moved to", "is on its way here"]),
    Topic(f"{_RUNBOOK}/migrate.md#know-what-happens", ["was not moved: "]),
    Topic(
        f"{_RUNBOOK}/restore.md#say-what-to-restore",
        [
            "there is no backup in",
            "no such file or directory on this machine",
            "--data backup=",
            "on the host, where there is",
        ],
        scripts=["restore.py"],
    ),
    Topic(f"{_RUNBOOK}/restore.md#know-what-happens-if-it-fails", ["the gateway's data are as they were"]),
    Topic(f"{_RUNBOOK}/roll-back.md#accept-that-newer-data-are-lost", ["would be lost to the gateway"]),
    Topic(f"{_RUNBOOK}/roll-back.md#upgrade", ["the upgrade to "], ["Upgrade the gateway"]),
    Topic(f"{_RUNBOOK}/remove.md#remove-without-a-terminal", ["say which hosts the gateway is to be taken off"]),
    Topic("docs/alarms.md#say-where-alarms-go", ["gateway_alerts: ", "no alarm could be sent"]),
    Topic("docs/page.md#serve-it-on-the-tailnet", ["gateway_page_port", "gateway_page_peers"]),
    Topic("docs/usage.md#budgets", ["openclaw_budget", "the budget of "]),
    Topic(
        "docs/two-gateways.md#what-a-run-does-while-one-is-gone",
        ["would ask a gateway that is gone", "this host is to ask", "is not what LLM_2_"],
    ),
    # What answers are like.
    Topic(
        _VERIFICATION,
        [
            "no TCP connection to",
            "is not a gateway, or",
            "refuses the token of",
            "the quota of the token of",
            "does not let the token of",
            "no channel serves",
            "refuses the provider's key",
            "refuses the key",
            "could not read its database",
            "says that its balance is used up",
            "says that too much was asked",
            "cannot reach the upstream of",
            "did not answer within",
            "the upstream or the gateway answered",
            "correct embedding_dimensions",
            "gets no connection to its gateway",
            "is not the token",
            "LLM_BASE_URL in",
        ],
    ),
    # What hosts are like.
    Topic(
        _DOCKER, ["docker_source", "its Docker ", "daemon.json", "Docker is ", "Docker answers", "answers to `docker`"]
    ),
    Topic(
        "docs/networking.md#let-the-container-reach-a-private-upstream",
        ["gateway_private_upstreams", "the firewall keeps"],
    ),
    Topic("docs/networking.md#choose-who-may-connect", ["gateway_allowed_peers", "firewall: "]),
    Topic(_TAILSCALE, ["Tailscale address", "gateway_tailscale_address", "`tailscale up`"]),
    Topic(_TAKE_OVER, ["all that can be taken over", "the gateway that is there", "takes it over", "the old gateway"]),
    Topic(
        _TAKE_OVER, ["a gateway was set up", "a gateway runs there already", "but no one-api.db", "it has the tables"]
    ),
    Topic(_TAKE_OVER, ["its database has no table"]),
    Topic(f"{_RUNBOOK}/restore.md", ["restore it from a backup", "restores a backup", "restore a backup"]),
    Topic(_OPENCLAW, ["openclaw_unit", "openclaw_user", "openclaw_restart", "openclaw_workspace", "OpenClaw's .env"]),
    Topic(
        _OPENCLAW, ["OpenClaw runs here", "OpenClaw does not answer", "OpenClaw refuses", "`openclaw config validate`"]
    ),
    Topic(
        _HOSTS, ["No host was reached", "that pyinfra connects as", "is not supported; use", "it does not run systemd"]
    ),
    Topic(_HOSTS, ["MiB are needed: make room"]),
    # What a person hands in.
    Topic(
        "docs/channels.md#know-the-rules",
        ["gateway_channels: ", "gateway_tokens: ", "gateway_options: ", "gateway_prune: "],
    ),
    Topic(_INVENTORY, ["There is no inventory file", "No host to work on", "cannot be used; nothing was changed."]),
    Topic(_INVENTORY, ["nor `openclaw`", "the group `gateways` has no host"]),
    Topic("docs/settings.md", ["problem with the settings", "problems with the settings"]),
    # Which step, or else which script.
    Topic(_NO_REGISTRY, steps=["Pull the image", "Load the image", "Send the image"]),
    Topic(_DOCKER, steps=["Install Docker", "Tell the Docker daemon"]),
    Topic(f"{_RUNBOOK}/keep-backups.md", steps=["Check the scheduled backups", "Make a backup"]),
    Topic("docs/alarms.md#know-what-is-told", steps=["Check the canary"]),
    Topic("docs/page.md#serve-it-on-the-tailnet", steps=["Check the page's server"]),
    Topic(
        "docs/networking.md#choose-who-may-connect",
        steps=["Check the firewall", "Start the firewall", "Let the firewall"],
    ),
    Topic(f"{_RUNBOOK}/roll-back.md#upgrade", steps=["Upgrade the gateway"]),
    Topic(_VERIFICATION, steps=["Verify with", "Prove the gateway"]),
    Topic(_OPENCLAW, steps=["Point OpenClaw", "Ask OpenClaw", "Wait until OpenClaw", "Restart OpenClaw"]),
    Topic(f"{_RUNBOOK}/no-answer.md", scripts=["verify.py"]),
    Topic(f"{_RUNBOOK}/restore.md#check-what-will-be-restored", scripts=["restore.py"]),
    Topic(f"{_RUNBOOK}/migrate.md", scripts=["migrate.py"]),
    Topic(f"{_RUNBOOK}/roll-back.md", scripts=["rollback.py"]),
    Topic(f"{_RUNBOOK}/leaked-key.md", scripts=["rotate_keys.py"]),
    Topic(_ADMIN, scripts=["reset_admin.py"]),
    Topic(f"{_RUNBOOK}/remove.md", scripts=["remove.py"]),
    Topic(f"{_RUNBOOK}/keep-backups.md", scripts=["backup.py"]),
    Topic("docs/channels.md#plan-deploy-export", scripts=["plan.py", "export.py"]),
    Topic("docs/usage.md", scripts=["usage.py"]),
    Topic("docs/alarms.md#say-where-alarms-go", scripts=["alerts.py"]),
    Topic("docs/page.md", scripts=["page.py"]),
)
"""In their order: the first one that helps is the page."""


def page(errors: Sequence[str], failed: Sequence[str], script: str) -> str:
    """The page for a run that failed: a path from the top of the checkout, with an anchor.

    Parameters: `errors`, what was told; `failed`, the names of the steps that failed; `script`, what was run.
    """
    return next((topic.page for topic in TOPICS if topic.helps(errors, failed, script)), OTHERWISE)


def place(page: str, here: Path, language: str = ENGLISH) -> str:
    """Where a person who is in the directory `here` opens that page: a path, relative where that is the shorter one.

    In Chinese, the page's twin if it has one. A wheel brings the pages along.
    """
    path, hash_sign, anchor = page.partition("#")
    file = ROOT / path
    if language == CHINESE and (twin := file.with_suffix(".zh-CN.md")).is_file():
        file = twin
    shown = file.relative_to(here) if file.is_relative_to(here) else file
    return f"{shown}{hash_sign}{anchor}"


class Errors(logging.Handler):
    """Keeps the errors that are told in this run."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[str] = []
        self.is_over = False
        """Whether the rest is a summary."""

    def emit(self, record: logging.LogRecord) -> None:
        """Called by Python's logging."""
        message = None if self.is_over else messages.read(record)
        if message is not None and message.kind == "error":
            self.told.append(message.text)


_errors = Errors()


def listen() -> None:
    """Hear the errors of this run; for `config.py`."""
    logger.addHandler(_errors)


def stop_listening() -> None:
    """What is told from now on repeats what was told."""
    _errors.is_over = True


def of_this_run(language: str = ENGLISH) -> str:
    """Where the page is that helps with what failed in this run; "" where no error was told."""
    stop_listening()
    if not _errors.told:
        return ""
    return place(page(_errors.told, _failed_steps(), invocation.script()), invocation.place(), language)


def _failed_steps() -> list[str]:
    state = ctx_state.get() if ctx_state.isset() else None
    if state is None or not state.initialised or state.current_stage < StateStage.Execute:
        return []
    # Late: config.py comes before the connections are made, and should not keep them waiting.
    from llm_gateway.tasks import outcome

    return [name for host in state.inventory if (name := outcome.failure_on(state, host))]
