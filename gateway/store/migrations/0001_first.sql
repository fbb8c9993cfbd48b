-- Threads of graphs, and the head of each thread's chain of facts.
CREATE TABLE threads (
    id TEXT PRIMARY KEY,
    graph TEXT NOT NULL,
    state TEXT NOT NULL,
    requester TEXT NOT NULL,
    request TEXT NOT NULL,
    result TEXT NOT NULL DEFAULT '',
    idempotency_key TEXT UNIQUE,
    facts INTEGER NOT NULL DEFAULT 0,
    head TEXT NOT NULL DEFAULT '',
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL
);
CREATE INDEX threads_by_state ON threads (state, updated_at);

-- Questions. `version` guards every change; only one question per interrupt is open at a time.
CREATE TABLE approvals (
    id TEXT PRIMARY KEY,
    thread_id TEXT NOT NULL REFERENCES threads (id),
    interrupt_id TEXT NOT NULL,
    state TEXT NOT NULL,
    version INTEGER NOT NULL,
    opened_at TEXT NOT NULL,
    expires_at TEXT NOT NULL,
    data TEXT NOT NULL
);
CREATE UNIQUE INDEX approvals_open ON approvals (thread_id, interrupt_id) WHERE state = 'open';
CREATE INDEX approvals_due ON approvals (expires_at) WHERE state = 'open';
CREATE INDEX approvals_by_thread ON approvals (thread_id, opened_at);
CREATE INDEX approvals_by_time ON approvals (opened_at);

-- The actions of an approval exactly as they were digested; execution reads them from here.
CREATE TABLE items (
    approval_id TEXT NOT NULL REFERENCES approvals (id),
    n INTEGER NOT NULL,
    digest TEXT NOT NULL,
    data TEXT NOT NULL,
    PRIMARY KEY (approval_id, n)
);

-- What is true, append-only: a chain per thread, each row bound to the one before by hash and MAC.
CREATE TABLE facts (
    thread_id TEXT NOT NULL REFERENCES threads (id),
    n INTEGER NOT NULL,
    approval_id TEXT,
    kind TEXT NOT NULL,
    at TEXT NOT NULL,
    data TEXT NOT NULL,
    prev_hash TEXT NOT NULL,
    mac TEXT NOT NULL,
    PRIMARY KEY (thread_id, n)
);
CREATE INDEX facts_by_approval ON facts (approval_id);

-- What reply and link handles stand for. The key that signs them is not in here.
CREATE TABLE handles (
    jti TEXT PRIMARY KEY,
    approval_id TEXT NOT NULL REFERENCES approvals (id),
    reviewer TEXT NOT NULL,
    purpose TEXT NOT NULL,
    digest TEXT NOT NULL,
    created_at TEXT NOT NULL
);
CREATE INDEX handles_by_approval ON handles (approval_id, reviewer, purpose);

-- What must still happen. `key` makes an effect single; `generation` fences a worker that lost its lease.
CREATE TABLE outbox (
    id TEXT PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    thread_id TEXT,
    approval_id TEXT,
    recipient TEXT,
    data TEXT NOT NULL,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    generation INTEGER NOT NULL DEFAULT 0,
    owner TEXT,
    lease_until TEXT,
    due_at TEXT NOT NULL,
    evidence TEXT NOT NULL DEFAULT '{}',
    note TEXT NOT NULL DEFAULT '',
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL
);
CREATE INDEX outbox_due ON outbox (due_at) WHERE state = 'queued';
CREATE INDEX outbox_working ON outbox (state) WHERE state IN ('claimed', 'in_flight', 'in_doubt');
CREATE INDEX outbox_by_approval ON outbox (approval_id, kind, recipient);

-- The pending interrupts that wait for the receipt of an approval's action.
CREATE TABLE effect_requests (
    approval_id TEXT NOT NULL REFERENCES approvals (id),
    interrupt_id TEXT NOT NULL,
    PRIMARY KEY (approval_id, interrupt_id)
);

-- Mail that arrived, each once, with what it was taken for. Handles that stand in `octets` in clear are masked.
CREATE TABLE inbound (
    account TEXT NOT NULL,
    folder TEXT NOT NULL,
    uidvalidity INTEGER NOT NULL,
    uid INTEGER NOT NULL,
    filing TEXT NOT NULL,
    reason TEXT NOT NULL,
    tries INTEGER NOT NULL DEFAULT 1,
    message_id TEXT,
    sha256 TEXT,
    approval_id TEXT,
    received_at TEXT NOT NULL,
    handled_at TEXT NOT NULL,
    octets BLOB,
    PRIMARY KEY (account, folder, uidvalidity, uid)
);
CREATE INDEX inbound_by_sha256 ON inbound (sha256);
CREATE INDEX inbound_by_approval ON inbound (approval_id);

-- The UID up to which a mailbox's mail was there before us and is left alone.
CREATE TABLE mailboxes (
    account TEXT NOT NULL,
    folder TEXT NOT NULL,
    uidvalidity INTEGER NOT NULL,
    floor INTEGER NOT NULL,
    PRIMARY KEY (account, folder)
);
