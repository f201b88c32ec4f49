"""pyinfra reads this first. Without it a run is refused: exit codes, journal and Ctrl-C would not be what they say."""

from llm_gateway import watch

watch()
