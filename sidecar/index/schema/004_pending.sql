-- What a batch is about to rename in, committed before its first rename: a crash in between is no local change.
CREATE TABLE pending (
    path   BLOB PRIMARY KEY,
    intent BLOB NOT NULL  -- core.intent.Intent, MessagePack
) STRICT, WITHOUT ROWID;
