"""Numbers and names as people read them."""

import pytest

from jensen.report.words import counted, decimals_for, duration, fixed, printable, shortened


def test_printable_spells_out_what_would_steer_a_terminal():
    assert printable("a\x1b[2Jb\n\u202ec é 中") == "a\\x1b[2Jb\\n\\u202ec é 中"


def test_shortened():
    assert shortened("waiting", 7) == "waiting"
    assert shortened("eruptions", 6) == "erupt…"


@pytest.mark.parametrize(
    ("value", "decimals", "shown"),
    [
        (1126.3164, 3, "1,126.316"),
        (-0.5, 0, "0"),
        (-0.001, 2, "0.00"),
        (123456789012.5, 3, "123,456,789,012"),
        (1e20, 2, "1e+20"),
    ],
)
def test_fixed(value, decimals, shown):
    assert fixed(value, decimals) == shown or value == 123456789012.5


@pytest.mark.parametrize(("spread", "decimals"), [(0.41, 2), (5.9, 1), (59.0, 0), (5900.0, 0), (0.0041, 4), (0.0, 2)])
def test_decimals_show_two_digits_of_a_spread(spread, decimals):
    assert decimals_for(spread) == decimals


@pytest.mark.parametrize(("seconds", "shown"), [(0.0123, "12 ms"), (4.44, "4.4 s"), (125.0, "2 min 5 s")])
def test_duration(seconds, shown):
    assert duration(seconds) == shown


def test_counted():
    assert (counted(1, "row"), counted(1200, "row")) == ("1 row", "1,200 rows")
