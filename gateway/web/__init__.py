"""The decision page and the JSON API: GET shows, POST decides, and neither waits for mail or a graph.

`application` builds both over plain values, `bind` and `serve` put them on a socket.
"""

from fastapi import FastAPI

from gateway.web.application import application
from gateway.web.server import PortTakenError, bind, serve
from gateway.web.settings import ApiToken, WebSettings

__all__ = ["ApiToken", "FastAPI", "PortTakenError", "WebSettings", "application", "bind", "serve"]
