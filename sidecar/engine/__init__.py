"""The loops: they own the state of a node and are the only writers of its index and its web root.

`absorb` turns a dirty path into a row, `land` an entry of a peer into a row and a change of the root; both run over
ports, so that the simulation runs them too. `outbound` and `inbound` are the two ends of a link,
`sending` and `receiving` what goes over it batch by batch.
"""
