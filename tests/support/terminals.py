"""A terminal on paper: what stays on the screen, and above it, after a program has printed and moved its cursor."""

import os
import re
import signal
import sys

_PARTS = re.compile(r"\x1b\[([?0-9;]*)([A-Za-z])|([\r\n])|(.)", re.S)


def lines_left(printed, width):
    """The lines that printed text leaves behind, those that scrolled away included, without blanks at their ends.

    It knows what rich uses: carriage returns, line feeds, cursor up and erase line; colours and the cursor's look are
    passed over. Anything else is an error.
    """
    lines, row, column = [[]], 0, 0
    for number, letter, control, character in _PARTS.findall(printed):
        if character:
            if column == width:
                row, column = row + 1, 0
            while len(lines) <= row:
                lines.append([])
            lines[row] += [" "] * (column + 1 - len(lines[row]))
            lines[row][column] = character
            column += 1
        elif control == "\r":
            column = 0
        elif control == "\n":
            row += 1
            while len(lines) <= row:
                lines.append([])
        elif letter == "A":
            row = max(0, row - int(number or 1))
        elif letter == "K":
            assert number == "2", number
            lines[row] = []
        else:
            assert letter in "mhl", (number, letter)
    return ["".join(line).rstrip() for line in lines]


def in_terminal(arguments, width, interrupt=None, **environment):
    """Run a Python program in a pseudo-terminal; its exit code and all that it printed.

    Ctrl-C is typed once where the pattern `interrupt` has been printed.
    """
    import pty

    pid, terminal = pty.fork()
    if pid == 0:
        # A shell starts what it puts in the background with interrupts ignored, and Python then leaves them so.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.environ.update(TERM="xterm-256color", COLUMNS=str(width), LINES="24", **environment)
        os.execv(sys.executable, [sys.executable, *arguments])
    seen = b""
    while True:
        try:
            part = os.read(terminal, 65536)
        except OSError:
            break
        if not part:
            break
        seen += part
        if interrupt is not None and re.search(interrupt, seen):
            # The terminal turns the key into the signal, as for a person.
            os.write(terminal, b"\x03")
            interrupt = None
    assert interrupt is None
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    return os.waitstatus_to_exitcode(status), seen.decode()
