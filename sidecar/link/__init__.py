"""Everything that runs ssh, sshd or rsync, and nothing else does.

keys and identity prepare what OpenSSH wants to find; sshd and gate let peers in, listener takes their control channels;
master holds the one connection to a peer, channel and rsync run over it.
"""
