"""`python -m llm_gateway …`, where `llm-gateway` is not installed."""

from llm_gateway.command.start import main

main("python -m llm_gateway")
