"""The command `sidecar`: commands lists what it can do, exits is the one place that knows exit codes.

One module a command; what a command needs beyond click is imported when it runs. healthcheck stands apart: it has the
standard library alone. The daemon is asked through its socket in the run directory (ask), never through its port.
"""
