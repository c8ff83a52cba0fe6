import json

import pytest
from click.testing import CliRunner

from jensen.cli import main


class Shell:
    """Runs commands in this process and keeps what they printed."""

    def __call__(self, *args, code=0):
        done = CliRunner().invoke(main, [str(arg) for arg in args])
        assert done.exit_code == code, (done.output, done.exception)
        assert done.exception is None or isinstance(done.exception, SystemExit)
        return done

    def json(self, *args):
        def refuse(name):
            raise AssertionError(f"{name} is no JSON")

        return json.loads(self(*args, "--json").stdout, parse_constant=refuse)


@pytest.fixture(scope="session")
def shell():
    return Shell()


@pytest.fixture(scope="session")
def model(shell, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "faithful.safetensors"
    shell("fit", "faithful", "-k", 2, "--out", path, "--quiet")
    return path
