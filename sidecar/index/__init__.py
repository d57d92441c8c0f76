"""What a node knows, on disk: rows, peers, what is pending, what is kept. The only package that imports sqlite3.

One `Index`, one connection, one thread: the engine's loop. `Index.sync` and `Index.checkpoint` alone are called from an
executor; they never touch that connection.

What must hold:
- A commit survives kill -9 of this process, whenever it comes. It survives a power loss when a `sync` that began after
  it has returned, or a checkpoint.
- After a kill the root has all that the log tells of, or the next start tells: before the first rename of a slice its
  number is written to the log, and then to the mtime of index.db-lock.
- A transaction is there as a whole or not at all, rows, cursors, intents and lists alike.
- No seq is given twice in the life of an index.
- An index of a newer schema is never opened; one of an older schema is copied before it changes.
- One process has it open at a time: a lock on index.db-lock, which dies with its holder.
- Nothing of it is mapped: a full disk would end us where the file system copies on write. So its connections are all in
  this process, made by `database.open_file`.
- Nobody else opens or closes the file index.db in this process: closing any descriptor of it would drop the locks that
  SQLite holds on it, and another process could then remove the log under our feet.
"""
