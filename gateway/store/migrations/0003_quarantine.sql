-- A number by which people name a mail, its size on the server, the line that was read, and an operator's doing.
ALTER TABLE inbound ADD COLUMN n INTEGER;
ALTER TABLE inbound ADD COLUMN size INTEGER;
ALTER TABLE inbound ADD COLUMN line TEXT;
ALTER TABLE inbound ADD COLUMN note TEXT NOT NULL DEFAULT '';
UPDATE inbound SET n = numbered.n FROM (
    SELECT account, folder, uidvalidity, uid, ROW_NUMBER() OVER (ORDER BY handled_at, uid) AS n FROM inbound
) AS numbered WHERE inbound.account = numbered.account AND inbound.folder = numbered.folder
    AND inbound.uidvalidity = numbered.uidvalidity AND inbound.uid = numbered.uid;
CREATE UNIQUE INDEX inbound_by_n ON inbound (n);
CREATE INDEX inbound_aside ON inbound (filing, handled_at) WHERE filing IN ('quarantine', 'releasing');
