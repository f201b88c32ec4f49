"""What `status.sh` says on a host."""

from __future__ import annotations

from llm_gateway.hosts.answers import Answers, Lines, Text


class StatusAnswers(Answers):
    """Each fact is the answer of its name."""

    now = Text()
    """The host's clock, in seconds since 1970."""
    disks = Lines()
    """As `df` tells them."""
    database_bytes = Text()
    log_files = Text()
    """As `du -k` tells them."""
    places = Lines()
    backups = Lines()
    canary_results = Lines()
    canary_hours = Lines()
    failed_backups = Lines()
    usage = Lines()
    """The answers of a question to the log; see `usage_question`."""
    unit_says = Text()
    """What the unit waits for, after what kind of thing that is."""
    migrated_to = Text()
    migrating_from = Text()
    journal = Lines()
    at_work = Lines()
    """The lines of the journal that the run under way has written."""
