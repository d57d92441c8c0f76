"""What `make bench`, `bench-wan` and `bench-scale` run: georoot and what people use, on the same work.

`works` runs inside a container that sees both web roots, needs nothing but Python, and says what it saw. `tools` are
the ways to keep two trees the same, `lab` starts one of them in two containers. `stats`, `table` and `draw` make
figures of what was seen. docs/performance.md says what they mean.
"""
