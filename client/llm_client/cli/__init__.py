"""The client for a person at a terminal: ``python -m client chat|embed|models|usage|ping``.

Nothing imports this but ``client.__main__`` and the console script ``llm-client``: the library does not
pay for it.

    arguments.py   what can be asked for           source.py     where address, key and model come from
    commands.py    the five commands               terminal.py   texts in and out, in UTF-8
    failures.py    exit codes, the line on stderr  program.py    main()
"""

from __future__ import annotations

from .program import main

__all__ = ["main"]
