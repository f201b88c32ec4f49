"""Put the page of the fleet where gateways' hosts serve it (gateway_page_port); change nothing else.

    pyinfra inventory.py deploys/page.py
    python deploys/page.py inventory.py [--every 5min] [--language en|zh]

The page is that of `status --html`. `--every 5min`: again and again, until Ctrl-C. With pyinfra itself, once: `--data
page_every=5min` says how old it may get before it says that it is old, `page_language=zh`.
"""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent.parent))  # pyinfra looks where it is run

if __name__ == "__main__":  # not so where pyinfra runs it
    from llm_gateway.command import cli

    cli.run_script("page")

from pyinfra import host, state

from llm_gateway.tasks import page

page.put(state, host)
