-- Rows that a peer has forgotten (flag 16: it may have deleted them, and dropped the tombstones) are in no sum either.
DROP TRIGGER rows_summed;
DROP TRIGGER rows_unsummed;
DROP TRIGGER rows_left_sums;
DROP TRIGGER rows_joined_sums;

CREATE TRIGGER rows_summed AFTER INSERT ON rows WHEN NEW.flags & 26 = 0 BEGIN
    UPDATE buckets SET total = (total | NEW.summand) - (total & NEW.summand) WHERE id = NEW.summand & 1023;
END;

CREATE TRIGGER rows_unsummed AFTER DELETE ON rows WHEN OLD.flags & 26 = 0 BEGIN
    UPDATE buckets SET total = (total | OLD.summand) - (total & OLD.summand) WHERE id = OLD.summand & 1023;
END;

CREATE TRIGGER rows_left_sums AFTER UPDATE OF summand, flags ON rows
WHEN OLD.flags & 26 = 0 AND (NEW.flags & 26 <> 0 OR NEW.summand <> OLD.summand) BEGIN
    UPDATE buckets SET total = (total | OLD.summand) - (total & OLD.summand) WHERE id = OLD.summand & 1023;
END;

CREATE TRIGGER rows_joined_sums AFTER UPDATE OF summand, flags ON rows
WHEN NEW.flags & 26 = 0 AND (OLD.flags & 26 <> 0 OR NEW.summand <> OLD.summand) BEGIN
    UPDATE buckets SET total = (total | NEW.summand) - (total & NEW.summand) WHERE id = NEW.summand & 1023;
END;

-- A deleted directory that stays here alone (flag 4) is as old as a tombstone, though it is not dropped.
UPDATE rows SET gone_us = newest_of(version) WHERE flags <> 0 AND flags & 4 <> 0;

-- Nodes that were not heard of for so long that nobody waits for them.
CREATE TABLE forgotten (
    region     TEXT    NOT NULL,
    node       TEXT    NOT NULL,
    contact_us INTEGER NOT NULL,  -- last contact (µs since 1970)
    at_us      INTEGER NOT NULL,  -- when it was forgotten
    PRIMARY KEY (region, node)
) STRICT, WITHOUT ROWID;

-- What is replicated, as the settings had it at the last start.
ALTER TABLE node ADD COLUMN scope TEXT NOT NULL DEFAULT '';
