"""The HTTP side of a node: it says how the node is and changes nothing.

health, gauges and page turn a `Status` into what is answered, app routes, server listens (the port, and admin.sock for
the CLI), statusfile writes the same JSON to a file. Whoever may reach the port may read all of it.
"""
