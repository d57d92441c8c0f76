-- The bytes of losing heads in conflicts/, under their hash; one file may serve several paths.
CREATE TABLE conflicts (
    path     BLOB    NOT NULL,
    hash     BLOB    NOT NULL,
    since_us INTEGER NOT NULL,
    PRIMARY KEY (hash, path)
) STRICT, WITHOUT ROWID;

CREATE INDEX conflicts_by_path ON conflicts (path, since_us);

-- What left the web root and lies in trash/.
CREATE TABLE trash (
    id     INTEGER PRIMARY KEY,
    name   BLOB    NOT NULL UNIQUE,  -- in trash/
    path   BLOB    NOT NULL,         -- in the web root, when it left
    stat   BLOB    NOT NULL,         -- core.entry.Stat, MessagePack
    size   INTEGER NOT NULL,         -- in bytes
    hash   BLOB    NOT NULL,         -- empty if not a file
    reason TEXT    NOT NULL,         -- core.ports.Keep
    source TEXT    NOT NULL,         -- the region on whose behalf it left, '' for this one
    at_us  INTEGER NOT NULL          -- when (µs since 1970)
) STRICT;

CREATE INDEX trash_by_path ON trash (path, at_us);
CREATE INDEX trash_by_time ON trash (at_us);
CREATE INDEX trash_by_hash ON trash (hash, at_us) WHERE hash <> x'';

-- How much lies there, without adding it up.
CREATE TABLE trash_total (
    id    INTEGER PRIMARY KEY CHECK (id = 1),
    n     INTEGER NOT NULL,
    bytes INTEGER NOT NULL
) STRICT;

INSERT INTO trash_total (id, n, bytes) VALUES (1, 0, 0);

CREATE TRIGGER trash_inserted AFTER INSERT ON trash BEGIN
    UPDATE trash_total SET n = n + 1, bytes = bytes + NEW.size;
END;

CREATE TRIGGER trash_deleted AFTER DELETE ON trash BEGIN
    UPDATE trash_total SET n = n - 1, bytes = bytes - OLD.size;
END;
