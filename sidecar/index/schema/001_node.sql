-- Who this node is: one row.
CREATE TABLE node (
    id                INTEGER PRIMARY KEY CHECK (id = 1),
    name              TEXT    NOT NULL,            -- '' until the node is named
    epoch             INTEGER NOT NULL,            -- random, made with the index; a new one when the volume was rolled back
    complete_since_us INTEGER NOT NULL DEFAULT 0,  -- every tombstone younger than this is here (µs since 1970)
    last_counter      INTEGER NOT NULL DEFAULT 0,  -- the highest counter of a dot that is known to have been given
    found_done        INTEGER NOT NULL DEFAULT 0,  -- 1: everything that the first scan found has a version
    clean             INTEGER NOT NULL DEFAULT 1,  -- 0 while a node runs: what is left after a crash
    boot_id           TEXT    NOT NULL DEFAULT '', -- of the machine, at the last start
    removed_seq       INTEGER NOT NULL DEFAULT 0,  -- the highest seq whose row was removed: it is never given again
    checkpoints       INTEGER NOT NULL DEFAULT 0   -- counted so that a checkpoint has something to write, see files.py
) STRICT;

-- Every start of this node in this epoch. A peer that has seen a run which is not here, or more of one than lies below
-- the first seq of the next, proves that this volume was rolled back.
CREATE TABLE runs (
    run        INTEGER PRIMARY KEY,
    first_seq  INTEGER NOT NULL,
    started_us INTEGER NOT NULL
) STRICT;
