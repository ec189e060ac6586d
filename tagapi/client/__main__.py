"""The command line: `python -m tagapi.client`, and where the script `tagapi` begins."""

from __future__ import annotations

import os
import signal

INTERRUPTED = 130


def main() -> None:
    """Run it. Who interrupts while its libraries are read has begun nothing, and sees none of them."""
    heard = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # `nohup` and `&` have it ignored
    if heard:
        signal.signal(signal.SIGINT, lambda *_: os._exit(INTERRUPTED))
    from tagapi.client.commands.main import main as command

    if heard:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    command(prog_name="tagapi")


if __name__ == "__main__":
    main()
