# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""The command ``ptychopress``: its subcommands, and how errors leave it."""

import os
import sys
from typing import Annotated

import typer

from .. import __version__
from .console import complain
from .demo import demo
from .prove import prove
from .sim import sim
from .verilog import verilog

app = typer.Typer(
    name="ptychopress",
    add_completion=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (demo, verilog, sim, prove):
    app.command()(command)


@app.callback(invoke_without_command=True)
def _top(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and leave.")] = False,
) -> None:
    """On-detector compression for X-ray ptychography: Verilog, proofs, simulation, reconstruction.

    Exit status: 0 done, 1 a check failed, 2 bad input, 130 interrupted.
    """
    if version:
        typer.echo(f"ptychopress {__version__}")
    elif context.invoked_subcommand is None:
        typer.echo(context.get_help())


def main() -> None:
    """Run the command line; bad input gets one line on standard error and exit status 2.

    With PTYCHOPRESS_TRACEBACK set in the environment an error shows where it came from.
    """
    try:
        sys.exit(app(standalone_mode=False))
    except typer.TyperException as error:
        complain(error.format_message())
    except (KeyboardInterrupt, typer.Abort):
        complain("interrupted")
        sys.exit(130)
    except (ValueError, TypeError, OSError, RuntimeError) as error:
        if os.environ.get("PTYCHOPRESS_TRACEBACK"):
            raise
        complain(_one_line(error))
    sys.exit(2)


def _one_line(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    return " ".join(str(error).split()) or type(error).__name__
