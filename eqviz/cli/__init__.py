"""The `eqviz` command. Heavy imports stay inside commands: `eqviz --help` answers at once."""

from __future__ import annotations

import os
import sys
import traceback

USER_ERROR, INTERRUPTED = 2, 130
DEBUG = "EQVIZ_DEBUG"


def main() -> None:
    """Run the command line; errors that eqviz raises on purpose become one line and exit code 2."""
    try:
        from eqviz.cli.app import app
    except ModuleNotFoundError as error:
        _fail(f"the command line needs {error.name}: pip install 'eqviz[app]'")
    from eqviz.errors import EqvizError

    try:
        app(prog_name="eqviz")
    except EqvizError as error:
        if os.environ.get(DEBUG):
            traceback.print_exc()
        _fail(str(error))
    except KeyboardInterrupt:
        print("\ninterrupted; the same command goes on where it stopped", file=sys.stderr)
        sys.exit(INTERRUPTED)


def _fail(message: str) -> None:
    print(f"eqviz: error: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(USER_ERROR)
