"""Where the command starts: ``xtalfuse`` and ``python -m xtalfuse``."""

from __future__ import annotations

import sys

from xtalfuse.start import code_of, leave, prepare


def main() -> None:
    """Run the command line; Ctrl-C while it is still loading is told in one line, too."""
    try:
        prepare()
        from xtalfuse.cli import main as run

        run()
    except KeyboardInterrupt as stop:
        sys.stderr.write("stopped\n")
        sys.exit(code_of(stop))
    finally:
        leave()


if __name__ == "__main__":
    main()
