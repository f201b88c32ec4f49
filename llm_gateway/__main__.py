"""`python -m llm_gateway …`, where `llm-gateway` is not installed."""

from llm_gateway.command.cli import main

main(prog_name="python -m llm_gateway")
