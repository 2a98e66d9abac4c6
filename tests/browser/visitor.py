"""Whoever looks at pages, and holds against them what no page may do: ask any other host, fail, or
be refused by its own policy."""

from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request

from tests.browser.chromium import PATIENCE_SECONDS

WIDE, NARROW = 1440, 390
HEIGHT = 900


class Visitor:
    """Opens pages, each in a window of its own unless it is a second tab. `faults` are sentences;
    those that hold a text of `expected` are not counted."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._contexts: list[BrowserContext] = []
        self._hosts: set[str] = set()
        self._faults: list[str] = []
        self.expected: list[str] = []

    def __call__(self, url: str, *, width: int = WIDE, beside: Page | None = None) -> Page:
        """A page at `url`; `beside` a page, another tab of the same window."""
        self._hosts.add(urlsplit(url).netloc)
        context = beside.context if beside else self._context(width)
        page = context.new_page()
        page.set_default_timeout(PATIENCE_SECONDS * 1000)
        page.on("console", self._console)
        page.on("pageerror", lambda error: self._faults.append(f"error: {error}"))
        page.goto(url)
        return page

    def _context(self, width: int) -> BrowserContext:
        context = self._browser.new_context(
            viewport={"width": width, "height": HEIGHT},
            color_scheme="light",
            reduced_motion="reduce",
            timezone_id="UTC",
            locale="en-GB",
            permissions=["clipboard-read", "clipboard-write"],
        )
        context.on("request", self._request)
        self._contexts.append(context)
        return context

    def _request(self, request: Request) -> None:
        asked = urlsplit(request.url)
        if asked.scheme not in ("data", "blob") and asked.netloc not in self._hosts:
            self._faults.append(f"external request: {request.url}")

    def _console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            where = message.location.get("url", "")
            self._faults.append(f"console: {message.text} ({where})")

    @property
    def faults(self) -> list[str]:
        return [fault for fault in self._faults if not any(text in fault for text in self.expected)]

    def leave(self) -> None:
        for context in self._contexts:
            context.close()
