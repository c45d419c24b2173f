"""A browser under test: Debian's chromium through its chromedriver, in the words of W3C WebDriver.

    with Browser() as browser:
        browser.open("/tmp/out/index.html")
        browser.run("return document.title")
        browser.keys(TAB, ENTER)

Nothing but Python's own library. Browser and driver are this process's children and die with it, however it ends.
"""

import base64
import contextlib
import ctypes
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

# Key codes of the WebDriver specification, "Keyboard actions".
TAB, ENTER, SPACE, BACKSPACE = "\ue004", "\ue006", " ", "\ue003"

CHROMIUM = [
    "chromium",
    "--headless=new",
    "--no-sandbox",  # which chromium demands of root, as containers run tests
    "--remote-debugging-port=0",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--no-default-browser-check",
    "--mute-audio",
    "--force-color-profile=srgb",
    "--font-render-hinting=none",
]


class WebDriverError(Exception):
    """What the driver answered instead of a value; `code` is the specification's word for it."""

    def __init__(self, code, message):
        super().__init__(f"{code}: {message.splitlines()[0] if message else ''}")
        self.code = code


def missing_programs():
    """Those of the programs that a test needs which are not installed."""
    return [name for name in ("chromium", "chromedriver") if not shutil.which(name)]


def exit_on_signals():
    """Turns the signals that end a process into an exception, so that what is open gets closed."""

    def leave(number, _frame):
        raise SystemExit(128 + number)

    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, leave)


def _die_with_parent():
    pr_set_pdeathsig = 1  # linux/prctl.h; kept over exec
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)


def _wait_for(what, ask, process, seconds=30):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"{what} ended with status {process.returncode} before it was ready")
        answer = ask()
        if answer:
            return answer
        time.sleep(0.02)
    raise RuntimeError(f"{what} was not ready after {seconds} s")


class Browser:
    def __init__(self):
        self._stack = contextlib.ExitStack()
        self._session = None
        self.url = None

    def __enter__(self):
        try:
            self._start()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_):
        self._stack.close()

    # --- the two processes ---

    def _start(self):
        self.folder = pathlib.Path(self._stack.enter_context(
            tempfile.TemporaryDirectory(prefix="kerf-browser-", ignore_cleanup_errors=True)))
        profile = self.folder / "profile"
        chromium = self._launch("chromium", CHROMIUM + [f"--user-data-dir={profile}", "about:blank"])
        driver = self._launch("chromedriver", ["chromedriver", "--port=0"])
        debugger = _wait_for("chromium", lambda: self._first_line(profile / "DevToolsActivePort"), chromium)
        port = _wait_for("chromedriver", self._driver_port, driver)
        self._root = f"http://127.0.0.1:{port}"
        options = {"debuggerAddress": f"127.0.0.1:{debugger}"}
        capabilities = {
            "browserName": "chrome",
            "unhandledPromptBehavior": "ignore",
            "goog:chromeOptions": options,
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        }
        answer = self._call("POST", "/session", {"capabilities": {"alwaysMatch": capabilities}})
        self._session = f"/session/{answer['sessionId']}"

    def _launch(self, name, command):
        """In a process group of its own, with an empty home, so that no setting of the user's takes part."""
        environment = dict(os.environ, HOME=str(self.folder), LC_ALL="C.UTF-8")
        for variable in ("http_proxy", "https_proxy", "all_proxy"):
            environment.pop(variable, None)
            environment.pop(variable.upper(), None)
        log = self._stack.enter_context(open(self.folder / f"{name}.log", "wb"))
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder,
                                   env=environment, start_new_session=True, preexec_fn=_die_with_parent)
        self._stack.callback(self._kill, process)
        return process

    @staticmethod
    def _kill(process):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    @staticmethod
    def _first_line(path):
        lines = path.read_text().splitlines() if path.exists() else []
        return lines[0] if len(lines) > 1 else None

    def _driver_port(self):
        """From the line "ChromeDriver was started successfully on port 12345."."""
        for line in (self.folder / "chromedriver.log").read_text().splitlines():
            if "started successfully on port" in line:
                return int(line.split()[-1].rstrip("."))
        return None

    # --- WebDriver ---

    def _call(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._root + path, data, {"Content-Type": "application/json"}, method=method)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=60) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            value = json.load(error)["value"]
            raise WebDriverError(value["error"], value["message"]) from None

    def call(self, method, path, body=None):
        return self._call(method, self._session + path, body)

    def open(self, path):
        """Loads a file, with empty logs."""
        self.log("browser")
        self.log("performance")
        self.url = pathlib.Path(path).resolve().as_uri()
        self.call("POST", "/url", {"url": self.url})

    def run(self, script, *arguments):
        """The value that a function of JavaScript returns whose body this is."""
        return self.call("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def keys(self, *keys):
        """Presses and releases keys one after the other, wherever the focus is."""
        actions = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        self.call("POST", "/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": actions}]})

    def log(self, kind):
        """What was logged since the last call."""
        return self.call("POST", "/se/log", {"type": kind})

    def dialog(self):
        """The text of the dialog that is open, which is closed, or None."""
        try:
            text = self.call("GET", "/alert/text")
        except WebDriverError as error:
            if error.code != "no such alert":
                raise
            return None
        self.call("POST", "/alert/dismiss", {})
        return text

    def picture(self, path):
        """A PNG of what the window shows."""
        pathlib.Path(path).write_bytes(base64.b64decode(self.call("GET", "/screenshot")))

    # --- what WebDriver does not have: the DevTools protocol ---

    def cdp(self, command, **parameters):
        return self.call("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def size(self, width, height, scale=1):
        self.cdp("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale,
                 mobile=False)
        self.cdp("Emulation.setScrollbarsHidden", hidden=width < 600)  # on phones they lie over the page

    def media(self, kind="screen", scheme="light"):
        features = [{"name": "prefers-color-scheme", "value": scheme},
                    {"name": "prefers-reduced-motion", "value": "reduce"}]
        self.cdp("Emulation.setEmulatedMedia", media=kind, features=features)

    def scripts(self, allowed):
        """Whether pages that are opened from now on may run theirs."""
        self.cdp("Emulation.setScriptExecutionDisabled", value=not allowed)

    def pdf(self, path):
        answer = self.cdp("Page.printToPDF", printBackground=True, preferCSSPageSize=True)
        pathlib.Path(path).write_bytes(base64.b64decode(answer["data"]))
