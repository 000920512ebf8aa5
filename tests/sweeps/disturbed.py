"""Run the command line and disturb it: ``disturbed.py HOW FOLDER ARGUMENTS...``.

HOW is ``count`` (print how often something in the folder was opened, renamed, made or removed),
``kill=N`` (send SIGKILL at the N-th of these), ``full=N`` (the disk is full from the N-th on),
``clock=SECONDS`` (the clock is set back so far, half-way through) or ``none``.
"""

import errno
import os
import signal
import sys
import time

WATCHED = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "shutil.rmtree"}


def main() -> None:
    how, folder, *arguments = sys.argv[1:]
    kind, _, number = how.partition("=")
    seen = 0

    def watch(event: str, given: tuple[object, ...]) -> None:
        nonlocal seen
        if event not in WATCHED or folder not in str(given[0]):
            return
        seen += 1
        if kind == "kill" and seen == int(number):
            os.kill(os.getpid(), signal.SIGKILL)
        writing = event == "open" and given[2] & (os.O_WRONLY | os.O_RDWR)
        if kind == "full" and seen >= int(number) and writing:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if kind == "clock" and seen == 40:
            now = time.time
            time.time = lambda: now() - int(number)

    sys.addaudithook(watch)
    sys.argv[:] = ["gmbench", *arguments]
    from gmbench import cli

    try:
        cli.main(arguments)
    finally:
        if kind == "count":
            print(f"seen: {seen}")


if __name__ == "__main__":
    main()
