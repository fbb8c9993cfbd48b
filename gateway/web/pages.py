"""Render the pages from their templates, and serve their style sheet."""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from starlette.responses import HTMLResponse, Response

from gateway.letters import environment
from gateway.web.refusals import RefusedError

_NAMES = ("decide", "confirm", "decided", "expired", "cancelled", "superseded", "problem")


class Pages:
    """All pages, compiled at once, so that a broken template stops the start and not a decision.

    Raises:
        jinja2.TemplateError: a template is missing or does not compile.
    """

    def __init__(self, name: str, directories: Sequence[Path]) -> None:
        templates = environment(directories, html=True)
        self._templates = {page: templates.get_template(f"pages/{page}.html") for page in _NAMES}
        assert templates.loader is not None
        self._css = templates.loader.get_source(templates, "pages/page.css")[0]
        version = sha256(self._css.encode()).hexdigest()[:12]
        self._common = {"gateway": name, "css": f"/static/page.css?{version}"}

    def render(self, page: str, context: Mapping[str, Any], status: int = 200) -> HTMLResponse:
        """Return a page; it is never kept by a cache."""
        return HTMLResponse(self._templates[page].render(self._common, **context), status)

    def problem(self, refusal: RefusedError) -> HTMLResponse:
        """Return the page that explains a refusal to a person, in the words of its template."""
        page = self.render("problem", {"word": refusal.word}, refusal.status_code)
        page.headers.update(refusal.headers or {})
        return page

    def style_sheet(self) -> Response:
        """Return the style sheet; its address changes whenever it does."""
        kept = {"Cache-Control": "public, max-age=31536000, immutable"}
        return Response(self._css, media_type="text/css", headers=kept)
