"""`python -m sidecar`, and what the image's `sidecar` runs. The health check runs for ever: it imports nothing else."""

import sys


def main() -> None:
    """Do what the command line says and exit with its code (`sidecar.cli.exits`)."""
    if sys.argv[1:2] == ["healthcheck"]:
        from sidecar.cli import healthcheck  # noqa: PLC0415 - alone: the others cost 20 times its CPU

        sys.exit(healthcheck.main(sys.argv[2:]))
    from sidecar.cli import commands  # noqa: PLC0415 - needs more than the standard library

    sys.exit(commands.main(sys.argv[1:]))


if __name__ == "__main__":
    main()
