"""Why a request is refused: a status, one word, and for programs a sentence."""

from collections.abc import Mapping

from starlette.exceptions import HTTPException

UNAVAILABLE = "the gateway cannot work at the moment; nothing was recorded"
_WORDS: Mapping[int, tuple[str, str]] = {
    404: ("not-found", "there is nothing here"),
    405: ("wrong-method", "this address does not take that method"),
    500: ("broken", "something went wrong on our side; the log says what"),
}


class RefusedError(HTTPException):
    """A request that gets no further. `detail` is for programs; pages word the refusal by `word`."""

    def __init__(
        self,
        status: int,
        word: str,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        more: Mapping[str, list[str]] = {},
    ) -> None:
        super().__init__(status, detail, headers)
        self.word = word
        self.more = more


def by_status(error: HTTPException) -> RefusedError:
    """Word a refusal that the framework made."""
    unknown = ("bad-request", "the request was not understood")
    return RefusedError(error.status_code, *_WORDS.get(error.status_code, unknown), headers=error.headers)


def not_found() -> RefusedError:
    """Word the one answer for everything that is not ours: it tells a stranger nothing."""
    return by_status(HTTPException(404))


def broken() -> RefusedError:
    """Word what is our own fault; the log says more."""
    return by_status(HTTPException(500))
