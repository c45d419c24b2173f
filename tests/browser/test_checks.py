"""Every check must be able to fail: a good page is broken in one respect after the other, and each time the check in
question must find it: python3 test_checks.py KERF"""

import base64
import hashlib
import pathlib
import re
import sys
import tempfile

import checks
from checks import CHECKS, page_of, run_check
from fixture import make_comparison, make_mixed
from webdriver import Browser, exit_on_signals


# --- ways to break a page; each takes its text and returns another ---


def swap(old, new, count=0):
    """Replaces a regular expression; it must be there."""

    def change(html):
        changed, n = re.subn(old, new, html, count=count)
        if not n:
            raise AssertionError(f"the page has nothing like {old}")
        return changed

    return change


def style(rules):
    return lambda html: html.replace("</style>", rules + "\n</style>", 1)


def body(markup):
    return lambda html: html.replace("</main>", markup + "</main>", 1)


def script(code):
    """More of the page's own script, which its policy still allows: the policy's hash is made anew."""

    def change(html):
        html = html.replace("</script>", code + "</script>", 1)
        own = re.search(r"<script>(.*?)</script>", html, re.DOTALL).group(1)
        digest = base64.b64encode(hashlib.sha256(own.encode()).digest()).decode()
        return re.sub(r"'sha256-[^']*'", f"'sha256-{digest}'", html, count=1)

    return change


def on_sort(code):
    """After the page has sorted; `rows` is its body, `head` what was pressed."""
    return script("document.querySelectorAll('#board thead button').forEach(b => b.addEventListener('click', () => {"
                  f"const rows = document.querySelector('#board tbody'), head = b.parentElement; {code} }}));")


def on_filter(code):
    return script("for (const e of document.querySelectorAll('#filter, #filter-clean'))"
                  f" for (const kind of ['input', 'change']) e.addEventListener(kind, () => {{ {code} }});")


NO_POLICY = swap(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "")

# CHECK | WHAT IS BROKEN | WHAT IS SAID, also several things, each of one part of it
CASES = [
    ("quiet", lambda html: html.replace("</script>", "undefined_name();</script>", 1), "Content Security Policy"),
    ("quiet", script("undefined_name();"), "undefined_name"),
    ("quiet", script("console.warn('hm');"), "hm"),
    ("quiet", script("alert('hello');"), "a dialog: hello"),
    ("alone", swap("default-src 'none'; ", ""), "policy: "),
    ("alone", lambda html: body('<img alt="" src="nothing.png">')(NO_POLICY(html)), "a request: file:.*nothing.png"),
    ("links", body('<a href="https://example.org/">there</a>'), "https://example.org/"),
    ("links", body('<a href="runs/none/run.json">run</a>'), "runs/none"),
    ("structure", swap('<html lang="en">', "<html>"), "no language"),
    ("structure", swap("<title>[^<]*</title>", "<title></title>", 1), "no title"),
    ("structure", swap('<meta name="viewport"[^>]*>', ""), "no viewport"),
    ("structure", body("<h1>again</h1>"), "2 h1"),
    ("structure", swap('id="answer"', 'id="other"'), "no answer"),
    ("structure", swap("<h4>", "<h5>", 1), "h5 after h3"),
    ("structure", body('<p id="board">x</p>'), "the id board"),
    ("structure", body('<p aria-labelledby="gone">x</p>'), "nothing has the id gone"),
    ("structure", body('<a href="#gone">x</a>'), "leads nowhere"),
    ("structure", body('<svg role="img"><g clip-path="url(#gone)"></g></svg>'), "nothing has the id gone"),
    ("structure", body("<table><thead><tr><td>a</td></tr></thead></table>"), "no caption"),
    ("structure", swap('<th scope="row">', "<th>", 1), "no scope"),
    ("structure", swap("<td[^>]*>[^<]*</td></tr>", "</tr>", 1), "cells instead of"),
    ("structure", swap(r'<label>Filter (<input id="filter"[^>]*>)</label>', r"\1"), "no label"),
    ("structure", body("<button></button>"), "no name"),
    ("structure", swap(' role="status"', ""), "#shown is not told"),
    ("sections", swap('id="tokens"', 'id="other"'), "no section tokens"),
    ("sections", style("#flips { display: none }"), "no section flips"),
    ("charts", swap('<figure class="chart">', "<figure>", 1), "charts instead of"),
    ("charts", style(".chart svg { display: none }"), "no drawing"),
    ("charts", swap("<figcaption>.*?</figcaption>", "", 1), "no caption"),
    ("charts", swap('(<figure class="chart">\\s*<svg[^>]*) role="img"', r"\1", 1), "no role"),
    ("charts", swap('(<figure class="chart">\\s*<svg[^>]*>\\s*)<title[^>]*>[^<]*</title>', r"\1", 1), "no title"),
    ("charts", swap(r"(<text[^>]*>)(?:[^<]|<(?!/text))*</text>", r"\g<1>1</text>"), "0 names of axes"),
    ("without_script", style("#board tbody tr:last-child { display: none }"), "rows of 6 without"),
    ("without_script", swap('class="controls" hidden', 'class="controls"'), "2 inputs"),
    ("contrast", style(":root { --muted: #8a8a8a }"), "light: contrast"),
    ("contrast", style("@media (prefers-color-scheme: dark) { :root { --muted: #666 } }"), "dark: contrast"),
    ("contrast", style("h2 { opacity: .4 }"), "contrast .*<h2>"),
    ("contrast", style("h2 { color: rgb(0 0 0 / 30%) }"), "contrast .*<h2>"),
    ("contrast", style("body { color: #000; background: #222 }"), "light: contrast"),
    ("contrast", style("h2 { background: linear-gradient(#fff, #000) }"), "an image is behind"),
    ("contrast", style('.chart text { fill: #bbb } h3::after { content: "more"; color: #ccc } ::placeholder { color: #bbb }'
                       " #filter { border-color: #ddd !important } :root { --series-2: #eee }"),
     ("contrast .*<text>", "::after", "placeholder", "the edge of", "series 2")),
    ("fits", style("h1 { width: 500px }"), "390 px, closed: the page is 5"),
    ("fits", style("html { overflow-x: hidden } h1 { width: 500px }"), "390 px.*beyond the edge"),
    ("fits", style(".scroll { overflow-x: visible }"), "the page is"),
    ("fits", swap(' tabindex="0"', ""), "not by keyboard"),
    ("fits", style("details p { min-width: 2000px }"), "1440 px, open"),
    ("legible", style(".chart text { font-size: 6px !important }"), "390 px: [0-9.]+ px"),
    ("legible", style(".chart svg { width: 120px !important }"), "1440 px: [0-9.]+ px"),
    ("legible", swap(r'(<text[^>]*) x="[^"]*"', r'\1 x="-20"'), "cut off"),
    ("legible", swap(r'(<text[^>]*) x="[^"]*" y="[^"]*"', r'\1 x="100" y="100"'), "lies on"),
    ("printed", style("@media print { #board tbody tr:last-child, .print { display: none !important } h2 { color: #ccc }"
                      " .controls { display: block !important } .scroll { overflow-x: auto } }"),
     ("not printed", "printed: <input", "neither printed nor told", "cut off", "contrast")),
    ("sorting", on_sort("rows.prepend([...rows.rows].find(r => r.cells[6].dataset.v === ''));"), "missing is not last"),
    ("sorting", on_sort("rows.append(...[...rows.rows].sort((a, b) => a.textContent < b.textContent ? -1 : 1));"),
     "before"),
    ("sorting", on_sort("head.setAttribute('aria-sort', 'ascending');"), "is sorted ascending, then ascending"),
    ("sorting", on_sort("rows.parentElement.tHead.rows[0].cells[0].setAttribute('aria-sort', 'ascending');"),
     "is said to be sorted"),
    ("sorting", on_sort("rows.lastElementChild.remove();"), "rows of 6"),
    ("sorting", swap(r' data-v="32"', ' data-v="3.2"'), "is sorted as 3.2"),
    ("sorting", swap("<button type=\"button\">Bits(.*?)</button>", r"Bits\1", 1), "not sortable"),
    ("filtering", on_filter("document.querySelectorAll('#board tbody tr').forEach(r => { r.hidden = false; });"),
     "filter zzzz"),
    ("filtering", on_filter("document.querySelector('#shown').textContent = 'some';"), "'some' is said"),
    ("filtering", swap('data-clean="1"', 'data-clean="0"'), "only clean: 0 rows instead of 2"),
    ("filtering", swap('data-clean="0"', 'data-clean="1"'), "only clean: 6 rows instead of 2"),
    ("filtering", swap(r"<tr data-clean[^>]*>.*?</tr>", "", 1), "5 rows for 6 subjects"),
    ("keyboard", style("* { outline: none !important }"), "the focus is not seen"),
    ("keyboard", style(":focus-visible { outline-color: #eee !important }"), "hardly seen"),
    ("keyboard", swap('<button type="button">', '<button type="button" tabindex="-1">', 1), "does not reach <button>"),
    ("keyboard", body('<p tabindex="3">first</p>'), "out of order"),
    ("keyboard", script("addEventListener('keydown', e => { if (e.key === 'Enter') e.preventDefault(); });"),
     "Enter on the head"),
    ("keyboard", script("addEventListener('keyup', e => { if (e.key === ' ') e.preventDefault(); });"),
     "Space on the head"),
    ("keyboard", script("addEventListener('keydown', e => { if (e.key === 'Tab') e.preventDefault(); });"),
     "Tab does not reach"),
    ("hostile", script("window.owned = 1;"), "a script of a stranger ran"),
    ("hostile", body("<script>1</script>"), "2 scripts"),
    ("hostile", body('<img alt="" src="data:,">'), "a strange element"),
    ("hostile", body('<p onclick="1">x</p>'), "a handler"),
    ("hostile", body('<a href="javascript:alert(1)">x</a>'), "a link to a script"),
    ("hostile", body("<p>a\u202eb</p>"), "U\\+202e"),
    ("hostile", body("<p>a\x1b[0m</p>"), "U\\+001b"),
    ("hostile", body('<p title="a\u2066b">x</p>'), "a control in title"),
    ("hostile", swap("int8:absmax", "int8"), "not shown: int8:absmax"),
]


# Whose cases do not get in each other's way: they are tried on one page.
TOGETHER = ("structure", "hostile", "links")


def grouped():
    """[(CHECK, [(HOW, WORDS), ...]), ...]: each is one page."""
    pages, shared = [], {}
    for name, change, words in CASES:
        if name not in TOGETHER:
            pages.append((name, [(change, words)]))
        elif name in shared:
            shared[name].append((change, words))
        else:
            pages.append((name, shared.setdefault(name, [(change, words)])))
    return pages


def broken(page, folder, changes):
    html = page.path.read_text()
    for change, words in changes:
        changed = change(html)
        if changed == html:
            raise AssertionError(f"the page was not changed, for {words}")
        html = changed
    path = pathlib.Path(folder) / "broken.html"
    path.write_text(html)
    return page_of(page.path.parent, charts=page.charts, marks=("int8:absmax",), path=path)


def main(program):
    exit_on_signals()
    failures = 0
    with tempfile.TemporaryDirectory(prefix="kerf-pages-") as folder, Browser() as browser:
        folder = pathlib.Path(folder)
        make_comparison(program, folder / "comparison")
        page = make_mixed(program, folder / "mixed", folder / "comparison")
        for name, changes in grouped():
            try:
                findings = run_check(getattr(checks, name), browser, broken(page, page.path.parent, changes))
            except AssertionError as error:
                findings = [f"the case itself: {error}"]
            for words in (w for _, said in changes for w in ([said] if isinstance(said, str) else said)):
                if not any(re.search(words, finding) for finding in findings):
                    failures += 1
                    print(f"FAILED   {name}: nothing like {words!r} was found; instead: {findings[:3]}")
    for check in CHECKS:
        if check.__name__ not in {name for name, _, _ in CASES}:
            failures += 1
            print(f"FAILED   no case breaks {check.__name__}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
