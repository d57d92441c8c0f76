-- What two nodes compare: see core.compare.
ALTER TABLE rows ADD COLUMN summand INTEGER NOT NULL DEFAULT 0;  -- of path and version; its lowest ten bits: the bucket

-- The exclusive or of the rows of each bucket, but for those that are found or held (flags 2 and 8): a peer knows other
-- versions of these. SQLite has no operator for it; (a | b) - (a & b) is the same and never overflows.
CREATE TABLE buckets (
    id    INTEGER PRIMARY KEY,
    total INTEGER NOT NULL
) STRICT;

WITH RECURSIVE ids (id) AS (SELECT 0 UNION ALL SELECT id + 1 FROM ids WHERE id < 1023)
INSERT INTO buckets SELECT id, 0 FROM ids;

CREATE TRIGGER rows_summed AFTER INSERT ON rows WHEN NEW.flags & 10 = 0 BEGIN
    UPDATE buckets SET total = (total | NEW.summand) - (total & NEW.summand) WHERE id = NEW.summand & 1023;
END;

CREATE TRIGGER rows_unsummed AFTER DELETE ON rows WHEN OLD.flags & 10 = 0 BEGIN
    UPDATE buckets SET total = (total | OLD.summand) - (total & OLD.summand) WHERE id = OLD.summand & 1023;
END;

CREATE TRIGGER rows_left_sums AFTER UPDATE OF summand, flags ON rows
WHEN OLD.flags & 10 = 0 AND (NEW.flags & 10 <> 0 OR NEW.summand <> OLD.summand) BEGIN
    UPDATE buckets SET total = (total | OLD.summand) - (total & OLD.summand) WHERE id = OLD.summand & 1023;
END;

CREATE TRIGGER rows_joined_sums AFTER UPDATE OF summand, flags ON rows
WHEN NEW.flags & 10 = 0 AND (OLD.flags & 10 <> 0 OR NEW.summand <> OLD.summand) BEGIN
    UPDATE buckets SET total = (total | NEW.summand) - (total & NEW.summand) WHERE id = NEW.summand & 1023;
END;

UPDATE rows SET summand = summand_of(parent, name, version);
