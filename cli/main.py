# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""The command ``ptychopress``: its subcommands, and how errors leave it."""

import os
import sys
from typing import Annotated

import typer

from .. import __version__
from .console import complain

_INTERRUPTED = 130


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


def _app() -> typer.Typer:
    # Imported here, where an interrupt is handled already: these take most of a second.
    from .bench import bench
    from .compress import compress
    from .decompress import decompress
    from .demo import demo
    from .evaluate import evaluate
    from .prove import prove
    from .reconstruct import reconstruct
    from .sim import sim
    from .train import train
    from .verilog import verilog

    app = typer.Typer(
        name="ptychopress",
        add_completion=False,
        rich_markup_mode="rich",
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback(invoke_without_command=True)(_top)
    for command in (demo, evaluate, train, compress, decompress, reconstruct, verilog, sim, prove):
        app.command()(command)
    app.add_typer(bench, name="bench")
    return app


def main() -> None:
    """Run the command line; bad input gets one line on standard error and exit status 2.

    With PTYCHOPRESS_TRACEBACK set in the environment an error shows where it came from.
    """
    status = 2
    try:
        status = _app()(standalone_mode=False) or 0
    except typer.TyperException as error:
        complain(_one_line(error.format_message()))
    except (KeyboardInterrupt, typer.Abort):
        status = _INTERRUPTED
    except (ValueError, TypeError, ArithmeticError, MemoryError, OSError, RuntimeError) as error:
        if os.environ.get("PTYCHOPRESS_TRACEBACK"):
            raise
        complain(_message(error))
    if status == _INTERRUPTED:
        complain("interrupted; the same command goes on with what is done already, where that takes long")
    sys.exit(status)


def _message(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return _one_line(f"{error.strerror}: {error.filename}" if error.filename else error.strerror)
    if isinstance(error, MemoryError):
        return _one_line(f"not enough memory: {error}")
    return _one_line(str(error)) or type(error).__name__


def _one_line(text: str) -> str:
    return " ".join(text.split())
