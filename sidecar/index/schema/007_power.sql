-- 1: the run before ended unclean on another boot: until that is settled, what differs from its row is found, not written.
ALTER TABLE node ADD COLUMN power_lost INTEGER NOT NULL DEFAULT 0;
