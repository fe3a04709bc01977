"""The report in a real browser: silent, asking for nothing, readable at a phone's width, and nothing serious for a checker."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chromium import AXE, asking, look
from tests.made_report import wild_report

WIDE = (
    "tell([document.documentElement.scrollWidth, innerWidth, [...document.images].filter(i => !i.naturalWidth).length])"
)
CHECK = """
axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']}).then(found =>
  tell(found.violations.map(one => [one.impact, one.id, one.nodes.map(node => node.html.slice(0, 200))])));
"""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("wild")
        patch.chdir(folder)
        return (folder / wild_report(folder)).resolve()


def test_the_page_is_silent_and_asks_for_nothing_but_itself(page: Path, tmp_path: Path) -> None:
    seen = look(page, tmp_path)
    assert "Can I trust it?" in seen.document and seen.console == []
    assert seen.asked == []


@pytest.mark.slow
def test_an_error_or_a_request_of_a_page_would_be_heard(page: Path, tmp_path: Path) -> None:
    script = "console.error('heard'); new Image().src = 'http://127.0.0.1:9/x.png'; tell(1)"
    seen = look(asking(page, tmp_path, script), tmp_path)
    assert any("heard" in line for line in seen.console) and seen.answer == 1
    assert seen.asked == ["http://127.0.0.1:9/x.png"]


@pytest.mark.slow
@pytest.mark.parametrize("width", [500, 1280])  # a window of Chromium is never narrower than 500
def test_the_page_is_no_wider_than_its_window_and_all_pictures_are_drawn(
    page: Path, tmp_path: Path, width: int
) -> None:
    page_width, window, n_broken = look(asking(page, tmp_path, WIDE), tmp_path, width).answer
    assert page_width <= window and n_broken == 0


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_an_accessibility_checker_finds_nothing_serious(page: Path, tmp_path: Path, scheme: str) -> None:
    if not AXE.is_file():
        pytest.skip("no axe-core here (npm install axe-core)")
    found = look(asking(page, tmp_path, AXE.read_text() + CHECK), tmp_path, scheme=scheme).answer
    assert [one for one in found if one[0] in ("serious", "critical")] == []
