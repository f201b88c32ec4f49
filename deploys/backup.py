"""Make a backup of every gateway, on its host and while it serves; the scheduled ones are made without this.

    pyinfra inventory.py deploys/backup.py
    python deploys/backup.py inventory.py [--fetch DIRECTORY]

One compressed archive in backups/ of the gateway's directory: the database, the secrets and the rendered files, each
with its SHA-256, looked at after writing. `--fetch` brings it to DIRECTORY/HOST/ as well; with pyinfra itself: `--data
fetch=DIRECTORY`. deploys/restore.py puts it back.
"""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent.parent))  # pyinfra looks where it is run

if __name__ == "__main__":  # not so where pyinfra runs it
    from llm_gateway.command import cli

    cli.run_script("backup")

from pyinfra import host, state

from llm_gateway.tasks import backup

backup.back_up(state, backup.machine_to_back_up(state, host))
