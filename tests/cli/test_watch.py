import os
import socket

import pytest


def test_an_export_is_one_page(shell, tmp_path):
    path = tmp_path / "em.html"
    done = shell("watch", "faithful", "-k", 2, "--starts", 2, "--export", path)
    (line,) = done.stdout.splitlines()
    assert line.startswith(f"{path}: 2 starts, ") and line.endswith("open it in a browser")
    html = path.read_text(encoding="utf-8")
    assert html.startswith("<!DOCTYPE html>") and "<title>EM on faithful</title>" in html
    assert os.listdir(tmp_path) == ["em.html"]


def test_the_same_seed_writes_the_same_bytes(shell, tmp_path):
    for name in ("a.html", "b.html"):
        shell("watch", "galaxies", "-k", 3, "--starts", 2, "--seed", 5, "--export", tmp_path / name)
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


def test_the_number_of_components_is_chosen_and_said(shell, tmp_path):
    done = shell("watch", "faithful", "-c", "tied", "--starts", 1, "--export", tmp_path / "em.html")
    assert done.stdout.splitlines()[0] == "3 components have the smallest BIC of 2 to 9."


def test_a_file_with_weights_and_chosen_columns(shell, tmp_path):
    table, path = tmp_path / "my data.csv", tmp_path / "em.html"
    rows = [f"{i % 7},{(i * i) % 11},{i % 3},x" for i in range(40)]
    table.write_text("a,b,w,text\n" + "\n".join(rows))
    done = shell("watch", table, "-k", 2, "--weights", "w", "--axes", "b", "--starts", 1, "--export", path)
    assert "text" not in done.stdout
    html = path.read_text(encoding="utf-8")
    assert "<title>EM on my data.csv</title>" in html and "takes no part" in html


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--columns", "nope"], "faithful has no column 'nope'"),
        (["--axes", "nope"], "axes: there is no column 'nope' among those that are fitted: 'eruptions', 'waiting'"),
        (["--axes", "waiting,waiting"], "axes: expected one or two different columns"),
        (["-k", 300], "300 components for 256 different rows of positive weight: ask for no more"),
        (["-c", "VVV,EEE"], "-c: expected one shape to watch, got full, tied. Name one of them."),
        (["-c", "all"], "-c: expected one shape to watch"),
    ],
)
def test_errors_say_what_to_do(shell, tmp_path, options, words):
    done = shell("watch", "faithful", *options, "--export", tmp_path / "em.html", code=1)
    assert words in done.stderr and os.listdir(tmp_path) == []


def test_places_that_cannot_be_written(shell, tmp_path):
    assert "a page ends in .html" in shell("watch", "faithful", "--export", tmp_path / "em.txt", code=1).stderr
    assert "there is no folder" in shell("watch", "faithful", "--export", tmp_path / "no" / "em.html", code=1).stderr
    assert "no such file" in shell("watch", tmp_path / "no.csv", "--export", tmp_path / "em.html", code=1).stderr


def test_a_port_that_is_taken_is_told_before_any_work(shell):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = shell("watch", "faithful", "--no-open", "--port", port, code=1)
    assert f"port {port} cannot be used: address already in use. Name another port, or none" in done.stderr
    assert done.stdout == ""


def test_it_serves_until_it_is_interrupted(shell, monkeypatch):
    served = []
    monkeypatch.setattr("jensen.watch.server.serve", lambda *args, **more: served.append((args, more)))
    shell("watch", "faithful", "-k", 2, "--starts", 3, "--no-open", "--accelerate", "squarem")
    ((recording, port), more) = served[0]
    assert more == {"open_browser": False} and port == 0
    assert len(recording.comparisons) == 3 and recording.method == "squarem"
