-- People whose letters come back, until a mail of theirs arrives; what was told first stays.
CREATE TABLE unreachable (
    reviewer TEXT PRIMARY KEY,
    since TEXT NOT NULL,
    status TEXT NOT NULL,
    diagnostic TEXT NOT NULL
);
