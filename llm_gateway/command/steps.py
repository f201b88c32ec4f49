"""The steps for a deploy.py of somebody's own, as pyinfra's `@deploy` functions. See docs/as-a-package.md."""

from __future__ import annotations

from pyinfra import host, state
from pyinfra.api import deploy

from llm_gateway.command.run_guard import watch as watch
from llm_gateway.inputs import settings
from llm_gateway.tasks import deployment, survey


@deploy("LLM gateway", data_defaults=settings.defaults())
def deploy_gateway() -> None:
    """On hosts of the group `gateways`: a gateway that answers, with its declared channels, tokens and options.

    The first call of a run reads all of its hosts, and ends it with all that is wrong before anything is touched.
    """
    if machine := survey.machine_beside_others(state, host):
        deployment.deploy_gateway(machine)


@deploy("OpenClaw", data_defaults=settings.defaults())
def point_openclaw() -> None:
    """On hosts of the group `openclaw`: OpenClaw uses its gateway, proven from there; after `deploy_gateway`."""
    if machine := survey.machine_beside_others(state, host):
        deployment.point_openclaw(machine)
