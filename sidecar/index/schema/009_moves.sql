-- A directory that is being renamed as a whole: peers may know it by its new name before its rows do.
CREATE TABLE moves (
    old  BLOB PRIMARY KEY,
    move BLOB NOT NULL  -- core.move.Move, MessagePack
) STRICT, WITHOUT ROWID;
