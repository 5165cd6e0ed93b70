"""Where the command starts: ``xtalfuse`` and ``python -m xtalfuse``."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; Ctrl-C while it is still loading is told in one line, too."""
    try:
        from xtalfuse.cli import main as run

        run()
    except KeyboardInterrupt:
        sys.stderr.write("stopped\n")
        sys.exit(130)


if __name__ == "__main__":
    main()
