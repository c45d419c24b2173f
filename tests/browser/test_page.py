"""Opens real pages in a real browser and checks what people would see, read and press: python3 test_page.py KERF"""

import sys
import tempfile

from checks import CHECKS, fresh, run_check
from fixture import make_all
from webdriver import Browser, exit_on_signals


def main(program):
    exit_on_signals()
    failed = 0
    with tempfile.TemporaryDirectory(prefix="kerf-pages-") as folder, Browser() as browser:
        for name, page in make_all(program, folder).items():
            fresh(browser, page)
            for check in CHECKS:
                findings = run_check(check, browser, page)
                failed += bool(findings)
                for finding in findings[:20]:
                    print(f"FAILED   {name}, {check.__name__}: {finding}")
                if len(findings) > 20:
                    print(f"         and {len(findings) - 20} more")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
