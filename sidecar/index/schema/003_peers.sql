-- What is remembered of the nodes that spoke to this one.
CREATE TABLE peers (
    region     TEXT    NOT NULL,
    node       TEXT    NOT NULL,
    epoch      INTEGER NOT NULL,
    run        INTEGER NOT NULL,  -- the last one seen
    seq        INTEGER NOT NULL,  -- the highest one seen of that run
    cursor     INTEGER NOT NULL,  -- its seq up to which everything is settled here: what hello tells it
    first_us   INTEGER NOT NULL,  -- first contact (µs since 1970)
    contact_us INTEGER NOT NULL,  -- last contact
    PRIMARY KEY (region, node)
) STRICT, WITHOUT ROWID;
