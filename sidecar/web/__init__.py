"""The HTTP side of a node: on its port it says how the node is and changes nothing; the CLI's socket takes orders.

health, gauges and page turn a `Status` into what is answered, app routes the port, admin the socket, server listens on
both, statusfile writes the same JSON to a file. Whoever may reach the port may read all of it.
"""
