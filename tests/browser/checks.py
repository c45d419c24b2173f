"""What a page must hold, checked in a browser. A check takes the browser and the page and returns its findings."""

import dataclasses
import json
import pathlib

from webdriver import BACKSPACE, ENTER, SPACE, TAB, WebDriverError

SCRIPT = (pathlib.Path(__file__).parent / "checks.js").read_text()
WIDE, PHONE = (1440, 900), (390, 844)
SCHEMES = ("light", "dark")
SECTIONS = ["answer-section", "board-section", "quality", "differences", "divergence", "flips", "tokens", "numbers",
            "method"]
LEAST_FONT = 11  # px, of words in a chart on a phone


@dataclasses.dataclass
class Page:
    path: pathlib.Path
    comparison: dict
    charts: int = 0  # at least
    sections: list = dataclasses.field(default_factory=lambda: SECTIONS)
    marks: tuple = ()  # of a stranger's texts: what must be seen as it is

    @property
    def clean(self):
        """How many candidates have no significant loss, by the comparison itself. Those that nothing was compared of
        are not known to have none."""
        count = 0
        for j in range(1, len(self.comparison["subjects"])):
            cells = [(row, row["cells"][j].get("difference")) for row in self.comparison["rows"]]
            known = [(row, d) for row, d in cells if d]
            lost = [1 for row, d in known if d["significant"] and (d["value"] < 0) == (row["better"] == "higher")]
            count += bool(known) and not lost
        return count


def page_of(folder, path=None, **more):
    folder = pathlib.Path(folder)
    return Page(path or folder / "index.html", json.loads((folder / "compare.json").read_text()), **more)


def ask(browser, check, *arguments):
    return browser.run(SCRIPT, check, arguments)


def fresh(browser, page, size=WIDE, media="screen", scheme="light"):
    """The page as it is when it was just opened."""
    browser.size(*size)
    browser.media(media, scheme)
    browser.open(page.path)


# --- loading ---


def quiet(browser, page):
    """No error in the console, which holds what the Content-Security-Policy refused, too; no dialog."""
    fresh(browser, page)
    dialog = browser.dialog()
    if dialog is not None:
        return [f"a dialog: {dialog}"]
    return [f"console: {entry['message']}" for entry in browser.log("browser") if entry["level"] != "DEBUG"]


def alone(browser, page):
    """No request but for the file itself, also not by what opens later."""
    fresh(browser, page)
    ask(browser, "open_details")
    urls = []
    for entry in browser.log("performance"):
        message = json.loads(entry["message"])["message"]
        if message["method"] == "Network.requestWillBeSent":
            urls.append(message["params"]["request"]["url"])
    policy = browser.run("return document.querySelector('meta[http-equiv=\"Content-Security-Policy\"]')?.content")
    found = [f"a request: {url}" for url in urls if url.split("#")[0] not in (browser.url, "data:,")]
    if "default-src 'none'" not in (policy or "") or "script-src 'sha256-" not in policy:
        found.append(f"policy: {policy}")
    if browser.url not in urls:
        found.append("the page's own request was not seen: is there a log?")
    return found


def links(browser, page):
    fresh(browser, page)
    found = []
    for target in ask(browser, "links"):
        beside = page.path.parent / target
        if target != "data:," and not beside.exists():
            found.append(f"leads out of the page, or nowhere: {target}")
    return found


# --- what is there ---


def structure(browser, page):
    fresh(browser, page)
    return ask(browser, "structure")


def sections(browser, page):
    fresh(browser, page)
    return ask(browser, "sections", page.sections)


def charts(browser, page):
    fresh(browser, page)
    return ask(browser, "charts", page.charts)


def without_script(browser, page):
    """All rows are there, and nothing that would need a script to work."""
    browser.scripts(False)
    try:
        fresh(browser, page)
        rows = ask(browser, "rows")
        dead = browser.run("return [...document.querySelectorAll('input')].filter(e => e.checkVisibility()).length")
    finally:
        browser.scripts(True)
    wanted = len(page.comparison["subjects"])
    found = [] if len(rows) == wanted else [f"{len(rows)} rows of {wanted} without a script"]
    return found + ([f"{dead} inputs that do nothing without a script"] if dead else [])


# --- looks ---


def contrast(browser, page):
    found = []
    for scheme in SCHEMES:
        fresh(browser, page, scheme=scheme)
        ask(browser, "open_details")
        for check in ("texts_contrast", "series_contrast"):
            if check == "texts_contrast" or page.charts:
                found += [f"{scheme}: {finding}" for finding in ask(browser, check)]
    return found


def fits(browser, page):
    found = []
    for size in (WIDE, PHONE):
        fresh(browser, page, size)
        for state in ("closed", "open"):
            found += [f"{size[0]} px, {state}: {finding}" for finding in ask(browser, "overflow")]
            ask(browser, "open_details")
    return found


def legible(browser, page):
    found = []
    for size in (WIDE, PHONE):
        fresh(browser, page, size)
        found += [f"{size[0]} px: {finding}" for finding in ask(browser, "charts_legible", LEAST_FONT)]
    return found


def printed(browser, page):
    fresh(browser, page, media="print")
    return ask(browser, "print")


# --- use ---


def sorting(browser, page):
    fresh(browser, page)
    return ask(browser, "sorting")


def type_filter(browser, text):
    """Replaces what is in the filter by text, key by key."""
    ask(browser, "focus_on", "#filter")
    browser.run("arguments[0].select()", browser.run("return document.getElementById('filter')"))
    browser.keys(BACKSPACE, *text)


def filtering(browser, page):
    fresh(browser, page)
    found, everything = [], ask(browser, "rows")

    def expect(what, rows):
        got, shown = ask(browser, "rows"), ask(browser, "shown")
        if got != rows:
            found.append(f"{what}: {len(got)} rows instead of {len(rows)}")
        if shown != f"{len(got)} of {len(everything)}":
            found.append(f"{what}: {len(got)} rows, and {shown!r} is said")

    expect("at first", everything)
    if len(everything) != len(page.comparison["subjects"]):
        found.append(f"{len(everything)} rows for {len(page.comparison['subjects'])} subjects")
    word = everything[-1].split()[0][-6:].upper()
    type_filter(browser, word)
    expect(f"filter {word}", [row for row in everything if word.lower() in row.lower()])
    type_filter(browser, "zzzz")
    expect("filter zzzz", [])
    type_filter(browser, "")
    expect("filter emptied", everything)
    ask(browser, "focus_on", "#filter-clean")
    browser.keys(SPACE)
    clean = ask(browser, "rows")
    expect("only clean", clean)
    if len(clean) != page.clean:
        found.append(f"only clean: {len(clean)} rows instead of {page.clean}")
    browser.keys(SPACE)
    expect("all again", everything)
    return found


def keyboard(browser, page):
    """Tab reaches everything, and is seen to; Enter and Space do what a click does."""
    fresh(browser, page)
    steps = ask(browser, "tab_start")
    browser.keys(*[TAB] * (steps + 1))
    found = ask(browser, "tab_end", ["#filter", "#filter-clean", "#board thead button", ".scroll"])
    for key, name, way in ((ENTER, "Enter", "ascending"), (SPACE, "Space", "descending")):
        if not ask(browser, "focus_on", "#board thead button", 3):
            return found + ["the head of a column takes no focus"]
        browser.keys(key)
        if ask(browser, "sorted", 3) != way:
            found.append(f"{name} on the head of a column: {ask(browser, 'sorted', 3)} instead of {way}")
    summaries = browser.run("return document.querySelectorAll('summary').length")
    for key in (ENTER, SPACE) if summaries else ():
        ask(browser, "focus_on", "summary")
        before = browser.run("return document.querySelector('details').open")
        browser.keys(key)
        if browser.run("return document.querySelector('details').open") == before:
            found.append("a key on a summary does not open or close it")
    return found


def hostile(browser, page):
    """Nothing that a stranger wrote became a part of the page, and it can be read."""
    fresh(browser, page)
    ask(browser, "open_details")
    return ask(browser, "hostile", page.marks)


CHECKS = [quiet, alone, links, structure, sections, charts, without_script, contrast, fits, legible, printed, sorting,
          filtering, keyboard, hostile]


def run_check(check, browser, page):
    """The findings of one check; what the driver itself refuses is one, too."""
    try:
        return check(browser, page)
    except WebDriverError as error:
        browser.dialog()
        return [f"{check.__name__}: {error}"]
