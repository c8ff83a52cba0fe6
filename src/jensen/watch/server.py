"""A server on this machine alone, that shows a recording and runs EM from the starts that its page asks for.

Other pages in the same browser can reach a port of this machine. Whoever asks must therefore know a random word in the
address, call the server by its own name (which a name that somebody points here is not), and come from its own page.
"""

from __future__ import annotations

import hmac
import secrets
import socket
import webbrowser
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np

from jensen.errors import InputError, JensenError, NumericalFailure
from jensen.store.strict_json import Malformed, parse
from jensen.watch.document import document, told
from jensen.watch.page import in_script, page, policy
from jensen.watch.recording import Comparison, Recording

MOST_BYTES = 65_536
_ADDRESS = "127.0.0.1"
# Seconds that a client may be silent for.
_PATIENCE = 20.0
# JSON has whole numbers that are no floats.
_LARGEST = 1e300


class Refused(Exception):
    """A request that is not answered: why, and the status to say it with."""

    def __init__(self, status: HTTPStatus, why: str) -> None:
        super().__init__(why)
        self.status = status


class WatchServer(ThreadingHTTPServer):
    """Serves one recording under an address that cannot be guessed.

    Parameters
    ----------
    recording : Recording
        What is shown; starts that are asked for are added to it.
    port : int, default=0
        0 takes a free one.

    Raises
    ------
    InputError
        If the port is taken or not ours to take.
    """

    daemon_threads = True
    # Whoever asks for a port that is in use shall hear of it.
    allow_reuse_address = False

    def __init__(self, recording: Recording, port: int = 0) -> None:
        self.recording, self.token = recording, secrets.token_urlsafe(18)
        try:
            super().__init__((_ADDRESS, port), _Handler)
        except OSError as error:
            raise _no_port(port, error) from None

    @property
    def hosts(self) -> tuple[str, ...]:
        """What the server is called."""
        return tuple(f"{name}:{self.server_port}" for name in (_ADDRESS, "localhost"))

    @property
    def url(self) -> str:
        """The address of the page."""
        return f"http://{self.hosts[0]}/{self.token}/"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing: a browser that goes away is no news."""

    def answer(self, asked: Any) -> Comparison:
        """What a page asks for: ``{"draw": true}``, or a start that was moved.

        Raises
        ------
        Refused
            If it is anything else.
        InputError, NumericalFailure
            If it cannot be run.
        """
        if asked == {"draw": True}:
            return self.recording.draw()
        names = {"start", "accelerated", "frame", "axes", "means"}
        if not (isinstance(asked, dict) and set(asked) == names):
            raise Refused(HTTPStatus.BAD_REQUEST, f"expected the fields {', '.join(sorted(names))}, or draw")
        whole = _is_whole(asked["start"]) and _is_whole(asked["frame"]) and isinstance(asked["accelerated"], bool)
        axes, means = asked["axes"], asked["means"]
        if not (whole and isinstance(axes, list) and all(map(_is_whole, axes)) and _is_matrix(means, len(axes))):
            raise Refused(HTTPStatus.BAD_REQUEST, "a field holds something else than it should")
        places = np.array(means, dtype=np.float64)
        return self.recording.moved(asked["start"], asked["accelerated"], asked["frame"], axes, places)


class _Handler(BaseHTTPRequestHandler):
    """One request."""

    server: WatchServer
    timeout = _PATIENCE
    server_version, sys_version = "jensen", ""

    def do_GET(self) -> None:
        """The page."""
        self._answered(self._get)

    def do_POST(self) -> None:
        """Another start."""
        self._answered(self._post)

    def _get(self) -> tuple[str, bytes]:
        self._check(self.path, f"/{self.server.token}/")
        whole = page(document(self.server.recording), served=True)
        return "text/html; charset=utf-8", whole.encode("utf-8")

    def _post(self) -> tuple[str, bytes]:
        self._check(self.path, f"/{self.server.token}/run")
        asked = parse(self._body(), "the request")
        found = told(self.server.recording, self.server.answer(asked))
        return "application/json", in_script(found).encode("ascii")

    def _check(self, path: str, expected: str) -> None:
        """Refuse whoever does not know the address, calls us by another name, or comes from another page."""
        hosts = self.server.hosts
        if self.headers.get("Host", "") not in hosts:
            raise Refused(HTTPStatus.MISDIRECTED_REQUEST, "this server is not called that")
        if self.headers.get("Origin", f"http://{hosts[0]}") not in [f"http://{host}" for host in hosts]:
            raise Refused(HTTPStatus.FORBIDDEN, "requests come from the server's own page alone")
        if not hmac.compare_digest(path.encode("utf-8", "replace"), expected.encode("ascii")):
            raise Refused(HTTPStatus.NOT_FOUND, "there is nothing here; the whole address is in the terminal")

    def _body(self) -> bytes:
        kind, length = self.headers.get("Content-Type", ""), self.headers.get("Content-Length", "")
        if kind.partition(";")[0].strip().lower() != "application/json":
            raise Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "expected application/json")
        if not (length.isascii() and length.isdigit()):
            raise Refused(HTTPStatus.LENGTH_REQUIRED, "expected a Content-Length")
        # Long digits are not even converted.
        if len(length) > 9 or int(length) > MOST_BYTES:
            raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"expected at most {MOST_BYTES} bytes")
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            raise Refused(HTTPStatus.BAD_REQUEST, "the request was cut short")
        return body

    def _answered(self, work: Callable[[], tuple[str, bytes]]) -> None:
        try:
            kind, content = work()
            status = HTTPStatus.OK
        except Refused as refusal:
            status, kind, content = refusal.status, *_told(str(refusal))
        except (JensenError, NumericalFailure, Malformed) as error:
            status, kind, content = HTTPStatus.UNPROCESSABLE_ENTITY, *_told(str(error))
        except KeyboardInterrupt:
            status, kind, content = HTTPStatus.SERVICE_UNAVAILABLE, *_told("the server is ending")
        self.close_connection = True
        with suppress(OSError):
            self.send_response(status)
            for name, value in {
                "Content-Type": kind,
                "Content-Length": str(len(content)),
                "Content-Security-Policy": policy(served=True) + "; frame-ancestors 'none'",
                "X-Content-Type-Options": "nosniff",
                "Cross-Origin-Resource-Policy": "same-origin",
                "Referrer-Policy": "no-referrer",
                "Cache-Control": "no-store",
                "Connection": "close",
            }.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the terminal is the user's."""


def serve(
    recording: Recording,
    port: int = 0,
    *,
    open_browser: bool = True,
    tell: Callable[[str], object] | None = None,
) -> None:
    """Serve a recording until an interrupt, which ends it politely.

    Parameters
    ----------
    recording : Recording
        What is shown.
    port : int, default=0
        0 takes a free one.
    open_browser : bool, default=True
        Whether to open the page.
    tell : callable (str) -> None, optional
        Told where the page is, and that it has ended; prints by default.

    Raises
    ------
    InputError
        If the port is taken.
    """
    tell = partial(print, flush=True) if tell is None else tell
    with WatchServer(recording, port) as server:
        tell(f"EM on {recording.name}: {server.url}")
        tell("Ctrl-C ends it.")
        try:
            if open_browser:
                webbrowser.open(server.url)
            server.serve_forever(poll_interval=0.2)
        except KeyboardInterrupt:
            tell("Ended.")
        finally:
            # Runs that are under way end at their next pass.
            recording.cancel.set()


def check_port(port: int) -> None:
    """Refuse a port that is taken, before the work whose result it is to show.

    Raises
    ------
    InputError
        If it is taken or not ours to take.
    """
    try:
        with socket.socket() as tried:
            tried.bind((_ADDRESS, port))
    except OSError as error:
        raise _no_port(port, error) from None


def _no_port(port: int, error: OSError) -> InputError:
    why = (error.strerror or str(error)).lower()
    return InputError(f"port {port} cannot be used: {why}. Name another port, or none, which takes a free one.")


def _told(why: str) -> tuple[str, bytes]:
    return "application/json", in_script({"error": why}).encode("ascii")


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**31


def _is_matrix(value: Any, width: int) -> bool:
    """Whether it is a list of lists of numbers, all as long."""
    return isinstance(value, list) and all(
        isinstance(row, list)
        and len(row) == width
        and all(
            isinstance(number, int | float) and not isinstance(number, bool) and abs(number) < _LARGEST
            for number in row
        )
        for row in value
    )
