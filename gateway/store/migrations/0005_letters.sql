-- What was written to people who may answer, as they saw it, for an answer quotes it. Handles are masked.
CREATE TABLE letters (
    row_id TEXT PRIMARY KEY REFERENCES outbox (id),
    approval_id TEXT NOT NULL REFERENCES approvals (id),
    recipient TEXT NOT NULL,
    text TEXT NOT NULL,
    written_at TEXT NOT NULL
);
CREATE INDEX letters_by_recipient ON letters (approval_id, recipient, written_at);
