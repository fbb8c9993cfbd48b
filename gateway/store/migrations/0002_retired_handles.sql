-- A handle that somebody else has used is replaced; the old one is kept to be recognised, and counts no more.
ALTER TABLE handles ADD COLUMN retired_at TEXT;
