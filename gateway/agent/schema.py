"""What a model must answer: one action of a closed list, in a schema that strict servers accept.

Strict servers know no free-form objects, so an API body is JSON text and database values are pairs;
`parameters` turns them into what the gateway's actions take. The plain union is emitted as `anyOf`, the
only form of a choice that those servers know; the literal tags make it as exact as a discriminator.
"""

import json
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, frozen=True)


class SendEmail(_Strict):
    """Send an email in plain text."""

    action_type: Literal["send_email"]
    to: list[str] = Field(description="Addresses, without names")
    cc: list[str] = Field(description="Addresses, without names; usually empty")
    subject: str
    body: str = Field(description="The whole text of the mail")

    def parameters(self) -> dict[str, Any]:
        """Return the fields as the action takes them."""
        return {"to": self.to, "cc": self.cc, "subject": self.subject, "body": self.body}


class WriteFile(_Strict):
    """Write a text file."""

    action_type: Literal["write_file"]
    path: str = Field(description="Relative path")
    content: str = Field(description="The whole new content")

    def parameters(self) -> dict[str, Any]:
        """Return the fields as the action takes them."""
        return {"path": self.path, "content": self.content}


class ApiCall(_Strict):
    """Call an HTTP API."""

    action_type: Literal["api_call"]
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
    url: str
    body_json: str = Field(description="The body as JSON text, or empty")

    def parameters(self) -> dict[str, Any]:
        """Return the fields as the action takes them.

        Raises:
            ValueError: the body is not JSON.
        """
        body = json.loads(self.body_json) if self.body_json.strip() else None
        return {"method": self.method, "url": self.url, "body": body}


class Column(_Strict):
    """A column and its value."""

    name: str
    value: str | float | bool | None


class DatabaseWrite(_Strict):
    """Insert, update or delete rows of one table."""

    action_type: Literal["database_write"]
    operation: Literal["insert", "update", "delete"]
    table: str
    values: list[Column] = Field(description="What to set; empty for delete")
    where: list[Column] = Field(description="Which rows; empty for insert")

    def parameters(self) -> dict[str, Any]:
        """Return the fields as the action takes them.

        Raises:
            ValueError: a column is named twice.
        """
        return {
            "operation": self.operation,
            "table": self.table,
            "values": _by_name(self.values),
            "where": _by_name(self.where),
        }


class NoAction(_Strict):
    """Nothing of the kind can be done, or nothing was asked for."""

    action_type: Literal["none"]
    reason: str = Field(description="One sentence for the person who asked")


class Plan(_Strict):
    """One proposed action, for people to approve."""

    description: str = Field(description="One sentence: what the action does")
    risk_level: Literal["low", "medium", "high"] = Field(
        description="low: only reads; medium: creates data; high: changes, deletes or sends to others"
    )
    action: SendEmail | WriteFile | ApiCall | DatabaseWrite | NoAction


def _by_name(columns: list[Column]) -> dict[str, Any]:
    values = {column.name: column.value for column in columns}
    if len(values) < len(columns):
        raise ValueError("a column is named twice")
    return values
