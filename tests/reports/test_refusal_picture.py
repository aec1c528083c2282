"""docs/refusal.svg, which the README leads with."""

from tests.reports.refusal import PICTURE, drawn, lines


def test_the_picture_of_a_refusal_shows_what_check_says_today() -> None:
    assert lines(PICTURE.read_text("utf-8")) == lines(drawn())


def test_the_picture_loads_nothing_from_another_place() -> None:
    picture = PICTURE.read_text("utf-8")
    assert "url(http" not in picture
    assert "href" not in picture
