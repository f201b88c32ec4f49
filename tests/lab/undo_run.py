"""A run for test_undo.py: takes the gateway's data away for a while; they are back when it comes to its end.

    pyinfra lab/inventory.py tests/lab/undo_run.py

UNDO_SECONDS, UNDO_FIRST (a shell command before the undo) and UNDO_STEP_SECONDS come from the environment.
"""

import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from pyinfra import host, state
from pyinfra.operations import python

from llm_gateway.hosts import progress, remote, undo
from llm_gateway.tasks import survey

directory = survey.machine_to_deploy(state, host).settings.gateway_directory
UNIT = "openclaw-llm-gateway.service"
UNDO = f"""{os.environ.get("UNDO_FIRST", "")}
systemctl stop {UNIT}
if [ -d {directory}/data.away ]; then rm -rf {directory}/data; mv -T {directory}/data.away {directory}/data; fi
rm -f {directory}/written-late
systemctl start {UNIT}
"""
STEPS = {
    "stopping the gateway": f"systemctl stop {UNIT}",
    "taking its data away": f"mv -T {directory}/data {directory}/data.away && mkdir {directory}/data",
    "putting nonsense in their place": f"echo nonsense > {directory}/data/one-api.db",
    "working": "sleep 0.1",
    "giving the data back": f"rm -rf {directory}/data && mv -T {directory}/data.away {directory}/data",
    "starting the gateway": f"systemctl start {UNIT}",
}


def work() -> bool:
    """All the steps, or none."""
    try:
        with undo.undoable(host, f"trial of {host.name}", UNDO, float(os.environ.get("UNDO_SECONDS", "60"))):
            for text, command in STEPS.items():
                progress.step(host, f"trial: {text}")
                time.sleep(float(os.environ.get("UNDO_STEP_SECONDS", "0")))
                remote.run(host, command)
            if os.environ.get("UNDO_FAIL"):
                raise remote.RemoteError("as the test wishes")
    except (undo.UndoError, remote.RemoteError) as problem:
        remote.complain(host, f"the trial failed: {problem}")
        return False
    return True


python.call(name="Try what can be undone", function=lambda state, host: work())
