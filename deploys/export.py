"""Write the declaration of what every gateway holds now, such as one that was clicked together; change nothing.

    pyinfra inventory.py deploys/export.py
    python deploys/export.py inventory.py [--output DIRECTORY|-]

A file for each gateway, declared/HOST.py, or on stdout. A gateway that has not been deployed yet is read with its root
password: `export ONEAPI_ROOT_PASSWORD=…`. With pyinfra itself: `--data export_output=DIRECTORY`.
"""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent.parent))  # pyinfra looks where it is run

if __name__ == "__main__":  # not so where pyinfra runs it
    from llm_gateway.command import cli

    cli.run_script("export")

from pyinfra import host, state

from llm_gateway.tasks import export

export.write(export.machine_to_export(state, host))
