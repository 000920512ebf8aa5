"""Pages with tables in a browser: sorted by keys and fingers, read on a phone, in the dark."""

import pytest

from gmbench.analyses.report import report
from gmbench.report import html, leaderboard, records, scores
from gmbench.report.document import Document, Line, Table
from gmbench.report.leaderboard import Entry
from gmbench.stats.estimate import estimate
from gmbench.stats.rates import Rate
from tests.made_up import a_run, store_run
from tests.report.browser import chromium, opened

PHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}
UNKNOWN = Document(
    "t",
    (
        Table(
            "Means",
            ("of", "mean", "rate"),
            (
                Line("a", (estimate([0.2, 0.3]), Rate(1, 2))),
                Line("b", (estimate([None]), Rate(0, 0))),
                Line("c", (estimate([-0.5, 0.9]), Rate(2, 2))),
            ),
            sortable=True,
        ),
    ),
)


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


def written(path, document):
    path.write_text(html.page(document))
    return path


@pytest.fixture(scope="module")
def reported(tmp_path_factory):
    """The page on agents of three alphas."""
    folder = tmp_path_factory.mktemp("runs")
    runs = [
        store_run(folder, alpha=alpha, seed=seed, misaligned=seed >= kept)
        for alpha, kept in ((0.0, 0), (0.03, 2), (0.3, 1))
        for seed in range(2)
    ]
    return written(tmp_path_factory.mktemp("page") / "report.html", report(runs))


def lines(shown, number=0):
    """Return the first cell of each line of a table."""
    return shown.locator("table").nth(number).locator("th[scope=row]").all_inner_texts()


def sorted_by(shown, number=0):
    """Return which heads say that the lines are ordered by them, and how."""
    return (
        shown.locator("table")
        .nth(number)
        .evaluate(
            "table => [...table.tHead.rows[0].cells].filter(each => each.ariaSort)"
            ".map(each => [each.innerText.trim(), each.ariaSort])"
        )
    )


def test_the_keyboard_sorts_a_report(browser, reported):
    with opened(browser, reported) as shown:
        assert lines(shown) == ["alpha 0.03", "alpha 0.3", "alpha 0"]
        assert sorted_by(shown) == []
        shown.locator("table").first.evaluate("table => table.parentElement.focus()")
        for _ in range(5):
            shown.keyboard.press("Tab")
        assert shown.evaluate("document.activeElement.textContent") == "regret"
        shown.keyboard.press("Enter")
        assert lines(shown) == ["alpha 0", "alpha 0.3", "alpha 0.03"]
        assert sorted_by(shown) == [["regret", "descending"]]
        shown.keyboard.press("Space")
        assert lines(shown) == ["alpha 0.03", "alpha 0.3", "alpha 0"]
        assert sorted_by(shown) == [["regret", "ascending"]]
        assert sorted_by(shown, 1) == []


def test_fingers_sort_on_a_phone_and_nothing_is_wider_than_it(browser, reported):
    with opened(browser, reported, **PHONE) as shown:
        shown.locator("table").first.locator("thead button").nth(1).tap()
        shown.locator("table").first.locator("thead button").nth(1).tap()
        assert lines(shown) == ["alpha 0", "alpha 0.3", "alpha 0.03"]
        assert shown.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_what_is_wider_than_a_phone_is_reached_by_keys(browser, reported):
    with opened(browser, reported, **PHONE) as shown:
        # Not every browser lets keys reach what can be scrolled unless it is told to.
        told = "wide => wide.every(each => each.getAttribute('tabindex') === '0')"
        assert shown.locator(".wide").evaluate_all(told)
        shown.locator(".wide").first.focus()
        shown.evaluate(
            "() => { window.scrolled = new Promise(done =>"
            " document.activeElement.addEventListener('scroll', done, {once: true})) }"
        )
        shown.keyboard.press("ArrowRight")
        assert shown.evaluate("scrolled.then(() => document.activeElement.scrollLeft)") > 0


def test_a_table_that_fits_has_no_bar(browser, tmp_path, reported):
    bars = """[...document.querySelectorAll(".wide")].filter(each =>
        each.scrollWidth > each.clientWidth || each.scrollHeight > each.clientHeight).length"""
    with opened(browser, written(tmp_path / "page.html", UNKNOWN), **PHONE) as shown:
        assert shown.evaluate(bars) == 0
    with opened(browser, reported) as shown:
        assert shown.evaluate(bars) == 0


def test_what_is_not_known_stays_last(browser, tmp_path):
    with opened(browser, written(tmp_path / "page.html", UNKNOWN)) as shown:
        for column in (1, 2):
            head = shown.locator("thead button").nth(column)
            head.click()
            assert lines(shown)[-1] == "b"
            head.click()
            assert lines(shown)[-1] == "b"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_ink_and_paper_are_told_apart(browser, reported, scheme):
    with opened(browser, reported, color_scheme=scheme) as shown:
        inks = shown.evaluate(
            """() => [getComputedStyle(document.body).backgroundColor,
            getComputedStyle(document.body).color,
            getComputedStyle(document.querySelector("svg text")).fill]
            .map(each => each.match(/[0-9.]+/g).slice(0, 3).reduce((a, b) => a + Number(b), 0))"""
        )
    paper, *written = inks
    assert all((paper > 600 and ink < 250) or (paper < 150 and ink > 600) for ink in written)
    assert (paper > 600) == (scheme == "light")


def test_contents_lead_to_sections(browser, reported):
    with opened(browser, reported) as shown:
        links = shown.locator("nav a")
        assert links.all_inner_texts() == shown.locator("h2[id]").all_inner_texts()
        links.filter(has_text="Performance profiles").click()
        assert shown.locator("h2:target").inner_text() == "Performance profiles"


def test_the_leaderboard_is_sorted_entry_by_entry(browser, tmp_path):
    entries = [
        Entry(name, "S-v0", records.plain(scores.summarise(runs)))
        for name, runs in (
            ("good", [a_run(seed=seed) for seed in range(3)]),
            ("bad", [a_run(seed=seed, misaligned=True) for seed in range(3)]),
        )
    ]
    path = written(tmp_path / "board.html", leaderboard.document(entries))
    with opened(browser, path) as shown:
        first = lines(shown)
        shown.locator("table").first.get_by_role("button", name="misaligned").press("Enter")
        assert lines(shown) == ["bad", "good"]
        assert sorted_by(shown) == [["misaligned", "descending"]]
        shown.locator("table").first.get_by_role("button", name="misaligned").press("Enter")
        assert lines(shown) == ["good", "bad"]
        assert sorted(first) == ["bad", "good"]
