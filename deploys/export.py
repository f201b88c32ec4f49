"""Write the declaration of what every gateway holds now, such as one that was clicked together; change nothing.

    pyinfra inventory.py deploys/export.py
    python deploys/export.py inventory.py [--output DIRECTORY|-]

A file for each gateway, declared/HOST.py, or on stdout. A gateway that has not been deployed yet is read with its root
password: `export ONEAPI_ROOT_PASSWORD=…`. With pyinfra itself: `--data export_output=DIRECTORY`.
"""

import sys
from pathlib import Path

if __name__ == "__main__":  # not so where pyinfra runs it
    sys.path.insert(0, str(Path(__file__).parent.parent))
    from gateway.runs import front

    front.become_export()

from pyinfra import host, state

from gateway.contents import exporting

exporting.write(exporting.member_to_export(state, host))
