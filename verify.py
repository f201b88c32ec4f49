"""Ask every gateway with its own token, and from every OpenClaw host with its .env, for a real completion and a real
embedding.

    pyinfra inventory.py verify.py
    python verify.py inventory.py --models all|changed|none
    python verify.py inventory.py --turn

On the gateways, every declared model is asked besides, for one word or one embedding, on each of its channels, and
a table shows the answers. `--models none` leaves that out; so does `changed`, since nothing is changed here (it is
what deploy.py does, which may change something). With pyinfra itself: `--data verification_models=none`.

`--turn` also asks OpenClaw's own gateway, on each of its hosts, for one turn of its agent (some 10,000 tokens) and for
one embedding by its memory, and shows what they cost by One API's log. Nothing of it stays with OpenClaw.

Changes nothing. Exit code 1 when a path to a model is broken; the message says at which link. So it is when a
gateway's scheduled backups fail or are not made, or its canary does not look, or its firewall does not stand, or the
page that it is to serve is not served, or without a token.
"""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent))  # pyinfra looks where it is run

if __name__ == "__main__":  # not so where pyinfra runs it
    from llm_gateway.command import cli

    cli.run_script("verify")

from pyinfra import host, state

from llm_gateway.parts import firewall, page_server
from llm_gateway.parts.backups import backup_health
from llm_gateway.parts.canary import canary_health
from llm_gateway.proof import openclaw_proof, openclaw_turn
from llm_gateway.proof.model_questions import ALL
from llm_gateway.tasks import survey, verification

machine = survey.machine_to_verify(state, host)
if machine.node:
    firewall.verify(machine.node)  # first, since the gateway does not run without it
verification.verify(machine, models=ALL)
if machine.agent:
    openclaw_proof.verify(machine.agent)
    openclaw_turn.verify(machine.agent)
if machine.node:
    backup_health.verify(machine.node)
    canary_health.verify(machine.node)
    page_server.verify(machine.node)
