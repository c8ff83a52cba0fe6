"""The server answers its own page, and nobody else."""

import contextlib
import http.client
import json
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path

import pytest

import jensen
from jensen.errors import InputError
from jensen.watch.server import MOST_BYTES, WatchServer, check_port


@pytest.fixture
def server():
    recording = jensen.watch.mixture(jensen.datasets.load("faithful"), 2, n_starts=1, random_state=1)
    with WatchServer(recording) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def ask(server, method="POST", path=None, body=b"", headers=None, host=None):
    """Status, headers and content of an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=30)
    path = f"/{server.token}/run" if path is None else path
    connection.putrequest(method, path, skip_host=True)
    given = {"Host": host or f"127.0.0.1:{server.server_port}", **(headers or {})}
    if method == "POST":
        given = {"Content-Type": "application/json", "Content-Length": str(len(body))} | given
    for name, value in given.items():
        if value is not None:
            connection.putheader(name, value)
    connection.endheaders(body)
    with contextlib.closing(connection):
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()


def asked(server, document):
    status, _, content = ask(server, body=json.dumps(document).encode())
    return status, json.loads(content)


GOOD = {"start": 0, "accelerated": False, "frame": 0, "axes": [0, 1], "means": [[2, 55], [4.3, 80]]}


def test_the_page_and_its_policy(server):
    status, headers, content = ask(server, "GET", f"/{server.token}/")
    assert status == 200 and content.startswith(b"<!DOCTYPE html>")
    assert "connect-src 'self'" in headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff" and headers["Cache-Control"] == "no-store"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin" and headers["Referrer-Policy"] == "no-referrer"


def test_starts_are_drawn_and_moved(server):
    status, found = asked(server, {"draw": True})
    assert status == 200 and found["number"] == 1 and found["kind"] == "adaptive"
    status, found = asked(server, GOOD)
    assert status == 200 and found["number"] == 2 and found["kind"] == "moved from start 1"
    one = server.recording.comparisons[2]
    assert one.plain.frames[0].params["means"].ravel().tolist() == pytest.approx([2, 55, 4.3, 80])
    assert found["runs"][0]["objective"] == one.plain.run.objective
    # A page that is loaded again has them all.
    assert b'"number":2' in ask(server, "GET", f"/{server.token}/")[2]


@pytest.mark.parametrize(
    "change",
    [
        {"start": 0.5},
        {"start": True},
        {"start": "0"},
        {"frame": None},
        {"frame": 2**40},
        {"accelerated": 0},
        {"axes": [0, "1"]},
        {"axes": 1},
        {"axes": [0]},
        {"means": [[2, 55], [4.3]]},
        {"means": [[2, 55], [4.3, "80"]]},
        {"means": [[2, 55], [4.3, True]]},
        {"means": [[2, 55], [4.3, 10**400]]},
        {"means": {"0": [2, 55]}},
        {"more": 1},
    ],
)
def test_fields_that_are_not_what_they_should_be(server, change):
    status, found = asked(server, {**GOOD, **change})
    assert status == 400 and "expected" in found["error"] or "field" in found["error"]
    assert len(server.recording.comparisons) == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"start": 7}, "there is no start 7"),
        ({"frame": -1}, "there is no frame -1"),
        ({"axes": [0, 2]}, "axes of this page"),
        ({"axes": [], "means": [[], []]}, "axes of this page"),
        ({"means": [[2, 55]]}, "expected 2 means"),
        ({"means": [[2, 55], [4.3, 1e200]]}, "Move it nearer"),
    ],
)
def test_starts_that_cannot_be(server, change, words):
    status, found = asked(server, {**GOOD, **change})
    assert status == 422 and words in found["error"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"draw": false}',
        b'{"draw": true, "draw": true}',
        b'{"draw": NaN}',
        b"\xff",
        b"[" * 5000,
        b'{"means": ' + b"9" * 5000 + b"}",
    ],
)
def test_bodies_that_are_no_question(server, body):
    status, _, content = ask(server, body=body)
    assert status in (400, 422) and json.loads(content)["error"]
    assert len(server.recording.comparisons) == 1


def test_others_are_refused(server):
    body, port, run = json.dumps(GOOD).encode(), server.server_port, f"/{server.token}/run"
    assert ask(server, body=body, host=f"evil.example:{port}")[0] == 421
    assert ask(server, body=body, host="127.0.0.1")[0] == 421
    assert ask(server, body=body, host=f"127.0.0.1:{port + 1}")[0] == 421
    assert ask(server, body=body, headers={"Origin": "http://evil.example"})[0] == 403
    assert ask(server, body=body, headers={"Origin": "null"})[0] == 403
    assert ask(server, body=body, headers={"Origin": f"http://localhost:{port}"}, host=f"localhost:{port}")[0] == 200
    assert ask(server, body=body, headers={"Content-Type": "text/plain"})[0] == 415
    assert ask(server, body=body, headers={"Content-Length": None})[0] == 411
    for length in ("-1", "1e3", "+5", "²"):
        assert ask(server, body=body, headers={"Content-Length": length.encode().decode("latin-1")})[0] == 411
    for length in (MOST_BYTES + 1, 10**12):
        assert ask(server, headers={"Content-Length": str(length)})[0] == 413
    for path in (
        "/",
        "/run",
        f"/{server.token}",
        f"{run}/",
        f"{run}?x",
        f"/{server.token[:-1]}x/run",
        "/../etc/passwd",
    ):
        assert ask(server, path=path, body=body)[0] == 404
        assert ask(server, "GET", path=path)[0] == 404
    for method in ("PUT", "DELETE", "OPTIONS", "HEAD"):
        assert ask(server, method)[0] == 501
    assert len(server.recording.comparisons) == 2
    with WatchServer(server.recording) as other:
        assert other.token != server.token and len(other.token) >= 20


def test_it_listens_on_this_machine_alone(server):
    assert server.server_address[0] == "127.0.0.1"


def test_a_client_that_goes_away_does_no_harm(server):
    with socket.create_connection(("127.0.0.1", server.server_port)) as gone:
        gone.sendall(f"GET /{server.token}/ HTTP/1.1\r\nHost: 127.0.0.1:{server.server_port}\r\n\r\n".encode())
    assert asked(server, {"draw": True})[0] == 200


def test_a_recording_does_not_grow_for_ever(server, monkeypatch):
    monkeypatch.setattr("jensen.watch.recording._MOST_STARTS", 1)
    status, found = asked(server, GOOD)
    assert status == 422 and "Begin a new one" in found["error"]


def test_a_port_that_is_taken(server):
    words = f"port {server.server_port} cannot be used: address already in use. Name another port, or none"
    with pytest.raises(InputError, match=words):
        WatchServer(server.recording, server.server_port)
    with pytest.raises(InputError, match=words):
        check_port(server.server_port)
    check_port(0)


PROGRAM = """
import signal, jensen
from jensen.cli import main
signal.signal(signal.SIGINT, signal.default_int_handler)
main(["watch", "faithful", "-k", "2", "--starts", "1", "--no-open"])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="the signal of Ctrl-C is another one there")
def test_an_interrupt_ends_it_politely():
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as run:
        try:
            first = run.stdout.readline()
            assert run.stdout.readline() == "Ctrl-C ends it.\n"
            url = first.split()[-1]
            assert first.startswith("EM on faithful: http://127.0.0.1:")
            with urllib.request.urlopen(url, timeout=30) as answer:
                assert answer.status == 200
            run.send_signal(signal.SIGINT)
            out, err = run.communicate(timeout=60)
        finally:
            run.kill()
    assert run.returncode == 0 and out.splitlines()[-1] == "Ended." and err == ""


def test_the_page_is_opened_where_that_is_wanted(monkeypatch):
    recording = jensen.watch.mixture(jensen.datasets.load("faithful"), 2, n_starts=1, random_state=1)
    opened, printed = [], []
    monkeypatch.setattr("webbrowser.open", opened.append)
    monkeypatch.setattr(
        WatchServer, "serve_forever", lambda self, poll_interval: (_ for _ in ()).throw(KeyboardInterrupt)
    )
    monkeypatch.setattr("builtins.print", lambda words, flush: printed.append(words))
    recording.serve()
    recording.serve(open_browser=False)
    assert len(opened) == 1 and opened[0] in printed[0] and printed[2] == "Ended."
    assert recording.cancel.is_set()
    assert Path(opened[0]).name not in printed[3]
