"""The web root and the sidecar's own directories beside it: what lies there, what changed, how content lands.

The only package that touches the web root. It states facts (stats, hashes, events) and takes single steps, each one
rename(2); what a fact means and which step comes next is decided in `sidecar.core` and `sidecar.engine`.

No function follows a symlink on its way to a path: every path is resolved beneath a directory descriptor.
"""
