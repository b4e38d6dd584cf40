# SPDX-License-Identifier: Apache-2.0
"""Table of commands, signal handling, and translation of errors to messages and exit codes."""

from __future__ import annotations

import importlib
import os
import signal
import sys
import threading
from collections.abc import Sequence
from types import FrameType
from typing import NoReturn

import click

from nnr_codec._version import __version__
from nnr_codec.cli.terminal import printable
from nnr_codec.errors import InternalError, NnrError

#: Module (with a click command named ``command``) and help line of each command. A new command is a module and a row.
COMMANDS: dict[str, tuple[str, str]] = {
    "encode": ("nnr_codec.cli.encode", "Compress a model file to an NNR stream."),
    "compress": ("nnr_codec.cli.compress", "Search the smallest stream that keeps your model's score."),
    "decode": ("nnr_codec.cli.decode", "Decompress an NNR stream to a model file."),
    "info": ("nnr_codec.cli.info", "Show a stream's units and tensors, from headers only."),
    "dump": ("nnr_codec.cli.dump", "Show every bit of a stream, and what the bits are spent on."),
    "diff": ("nnr_codec.cli.diff", "Compare two streams: elements, levels, values, sizes."),
    "explain": ("nnr_codec.cli.explain", "Explain a syntax element: meaning, presence, range, clause."),
    "validate": ("nnr_codec.cli.validate", "Check a stream of any encoder against the format."),
    "index": ("nnr_codec.cli.index", "Write an index, for fast access to single tensors."),
    "demo": ("nnr_codec.cli.demo", "Compress a small trained network that comes with the package."),
    "conformance": (
        "nnr_codec.cli.conformance",
        "Check decoders against the conformance vectors.",
    ),
}

EXIT_INTERRUPTED = 128 + signal.SIGINT
#: 128 + SIGPIPE, as a shell reports it. Some systems do not define the signal.
EXIT_BROKEN_PIPE = 141


#: Signals, besides SIGINT, that end the process after unfinished files are removed.
_STOPPING_SIGNALS = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]

#: Longest time between a signal and its effect.
_SIGNAL_POLL_SECONDS = 0.2


class ReaderGone(Exception):
    """Standard output is a pipe whose reader has closed it, as ``head`` does."""


class _Stopped(BaseException):
    """A signal ends the process."""

    def __init__(self, exit_code: int) -> None:
        super().__init__(exit_code)
        self.exit_code = exit_code


class LazyGroup(click.Group):
    """Command group whose commands are imported when they run; ``nnr --help`` imports none."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the table."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command's module."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        command = importlib.import_module(COMMANDS[cmd_name][0]).command
        if not isinstance(command, click.Command):
            raise InternalError(f"{COMMANDS[cmd_name][0]} has no click command")
        return command

    def invoke(self, ctx: click.Context) -> object:
        """Run the command. A broken pipe raises `ReaderGone`, because click would end the process."""
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError:
            raise ReaderGone from None
        return result

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the help lines of the table."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, help_line) for name, (_, help_line) in COMMANDS.items()])


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="\b\nExamples:\n  nnr demo\n  nnr encode model.safetensors model.nnr\n  nnr info model.nnr\n"
    "  nnr decode model.nnr restored.safetensors",
)
@click.version_option(__version__, "--version", prog_name="nnr")
def nnr() -> None:
    """Compress neural networks to standard ISO/IEC 15938-17 (NNC/NNR) streams, and back."""


def run(arguments: Sequence[str] | None) -> int:
    """Run the command line and return its exit code.

    The command runs in a second thread, and the main thread waits for signals. Python handles signals in the main thread
    between two bytecode instructions, and one call of the native core may take minutes.
    """
    if threading.current_thread() is not threading.main_thread():
        return _run(arguments)
    for number in _STOPPING_SIGNALS:
        signal.signal(number, _stop)
    outcome: list[int | BaseException] = []

    def work() -> None:
        try:
            outcome.append(_run(arguments))
        except BaseException as error:
            outcome.append(error)

    thread = threading.Thread(target=work, name="nnr", daemon=True)
    try:
        thread.start()
        while thread.is_alive():
            # The system may deliver a signal to the other thread, which does not wake this one.
            thread.join(_SIGNAL_POLL_SECONDS)
    except KeyboardInterrupt:
        _end(EXIT_INTERRUPTED)
    except _Stopped as stopped:
        _end(stopped.exit_code)
    if isinstance(outcome[0], BaseException):
        raise outcome[0]
    return outcome[0]


def _end(exit_code: int) -> NoReturn:
    """End the process immediately, although the native core may still run. Unfinished files are removed."""
    from nnr_codec.frameworks.atomic import discard_unfinished

    discard_unfinished()
    if sys.stderr.isatty():
        # Show the cursor again, which a progress bar hides.
        sys.stderr.write("\x1b[?25h\r\x1b[K")
    sys.stderr.flush()
    os._exit(exit_code)


def _run(arguments: Sequence[str] | None) -> int:
    try:
        result = nnr.main(
            args=None if arguments is None else list(arguments), prog_name="nnr", standalone_mode=False
        )
    except (click.Abort, KeyboardInterrupt):
        return EXIT_INTERRUPTED
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return 2
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx is not None else "nnr"
        return _fail(f"{command}: {error.format_message()} (see {command} --help)", 2)
    except click.ClickException as error:
        return _fail(f"nnr: {error.format_message()}", 1)
    except ReaderGone:
        # Python flushes standard output again at exit. With the null device this cannot fail.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_BROKEN_PIPE
    except FileExistsError as error:
        return _fail(f"nnr: {error.filename}: exists already; --force overwrites it", 1)
    except OSError as error:
        place = f"{error.filename}: " if error.filename is not None else ""
        return _fail(f"nnr: {place}{error.strerror or error}", 1)
    except InternalError as error:
        return _bug(error)
    except NnrError as error:
        return _fail(f"nnr: {error}", 1)
    except MemoryError:
        return _fail("nnr: not enough memory", 1)
    except Exception as error:
        return _bug(error)
    return result if isinstance(result, int) else 0


def _bug(error: Exception) -> int:
    if os.environ.get("NNR_DEBUG"):
        raise error
    kind = type(error).__name__
    return _fail(
        f"nnr: a bug in nnr_codec: {kind}: {error} (please report it; NNR_DEBUG=1 shows the traceback)", 1
    )


def _fail(line: str, exit_code: int) -> int:
    click.echo(printable(line), err=True)
    return exit_code


def _stop(number: int, frame: FrameType | None) -> None:
    del frame
    raise _Stopped(128 + number)
