"""How long every page of the portal takes on a home of many years: time, bytes, questions to the database.

    python -m benchmarks.pages --times 10 --json FILE

One home is planted with 50 sites, 20 projects, 1,000 runs (20 of them live, two with a journal of 10,000 events), 50
data sets and 100,000 lines of the ledger. The real Controller runs on it as a process of its own, a site-admin signs
in by HTTP and asks for every address that shows something, so a page that is added later is measured too. The Routing
Server is away. A time is from sending the request to the last byte of the answer; `first` is the first look at that
address since the Controller began. `processor` is what the whole Controller used for one look: where other programs
share the machine, it says more than the time. Questions are counted afterwards, in this process, on the same home.

Goals: under 100 ms, at most 12 questions, and under 60 kB for each page as it is opened first. Figures are in
docs/benchmarks.md.
"""

import argparse
import http.client
import re
import statistics
import tempfile
import time
from collections.abc import Iterator
from http.cookies import SimpleCookie
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from benchmarks.large_home import LINES, NAME, PASSWORD, Planted, plant
from benchmarks.watching import say, used, write
from friendlyfl.testing.consortium import Process

TYPING = 3.0  # seconds that a person takes for name and password
GOAL_MS, GOAL_QUESTIONS, GOAL_BYTES = 100.0, 12, 60_000
SHOWN = (200, 204)
NO_PAGES = ("logout", "language", "first", "login")  # of people who are not signed in
FILES = (
    "ledger_csv", "ledger_json", "results_pack", "results_step_pack", "results_json", "results_table",
    "results_figure", "results_figure_file", "task_figure", "task_example",
)  # fmt: skip  # as large as what is in them, and made when somebody asks: the goals are those of pages


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory(prefix="friendlyfl-pages-") as name:
        folder = Path(name)
        say("Planting a large home (about a minute)")
        planted = plant(folder / "home")
        asked = dict(addresses(planted))
        controller = Process(
            ["controller", "start", "--home", str(folder / "home"), "--port", "0"],
            folder / "controller.log",
            r"portal at (\S+)",
            {},
        )
        try:
            say(f"Asking for {len(asked)} addresses, {options.times} times each")
            rows = _measure(controller, asked, options)
        finally:
            controller.stop()
        _count_questions(rows)
    rows.sort(key=lambda row: -row["median_ms"])
    _print(rows)
    pages = [row for row in rows if row["kind"] == "page"]
    found = {
        "addresses": len(rows),
        "slow": [row["page"] for row in pages if row["median_ms"] > GOAL_MS],
        "slow_first": [row["page"] for row in pages if row["first_ms"] > GOAL_MS],
        "large": [row["page"] for row in pages if row["bytes"] > GOAL_BYTES],
        "many_questions": [row["page"] for row in pages if row["questions"] > GOAL_QUESTIONS],
        "versions": {name: version(name) for name in ("Django", "uvicorn", "numpy")},
        "pages": rows,
    }
    write(found, options.json)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--times", type=int, default=10, help="looks at each address after the first")
    parser.add_argument("--only", default="", help="only addresses whose name has this in it")
    parser.add_argument("--json", help="also write the figures to this file")
    return parser.parse_args()


# --- which addresses ---


def addresses(planted: Planted) -> Iterator[tuple[str, str]]:
    """Every address of the portal with something that is there in each of its places, by name; some more than once."""
    from django.urls import URLPattern, get_resolver

    def under(resolver: Any) -> Iterator[URLPattern]:
        for entry in resolver.url_patterns:
            if hasattr(entry, "url_patterns"):
                yield from under(entry)
            else:
                yield entry

    for pattern in under(get_resolver()):
        if pattern.name not in NO_PAGES:
            yield pattern.name, _filled(str(pattern.pattern), pattern.name, planted)
    for which, pk in (("ended", planted.ended), ("seat", planted.seat)):
        for part in ("", "status/", "story/", "rounds/", "log/"):
            yield f"run {part}, {which}".replace("/", ""), f"/runs/{pk}/{part}"
    yield "results, seat", f"/runs/{planted.seat}/results/"
    yield "project, theirs", f"/projects/{planted.theirs}/"
    yield "project_news, theirs", f"/projects/{planted.theirs}/news/"
    yield "runs, last page", "/runs/?page=40"
    yield "ledger, last page", "/ledger/?page=100000"
    yield "ledger, chosen", "/ledger/?since=2026-03-01&until=2026-06-01"
    yield "departure, last", f"/ledger/{LINES}/"


def _filled(pattern: str, name: str, planted: Planted) -> str:
    room = pattern.split("/")[0]
    ended = name.startswith("results")
    of_room = {
        "projects": planted.theirs if name.startswith("mapping") else planted.ours,
        "runs": planted.ended if ended else planted.live,
        "data": planted.dataset,
        "requests": planted.asked,
        "settings": planted.person,
    }
    places = {
        "pk": of_room.get(room, 1),
        "row": planted.joiner if name == "admit" else planted.open_code,
        "peer": planted.peer,
        "dataset": planted.dataset,
        "task": "logistic_regression",
        "name": "coefficients",
        "kind": "pdf",
    }
    return "/" + re.sub(r"<(?:\w+:)?(\w+)>", lambda found: str(places.get(found[1], 1)), pattern)


# --- asking ---


class Browser:
    """One line to the portal that is kept open, with its cookies."""

    def __init__(self, address: str) -> None:
        self.line = http.client.HTTPConnection(urlsplit(address).netloc, timeout=60)
        self.cookies: SimpleCookie = SimpleCookie()

    def ask(self, path: str, form: dict[str, str] | None = None) -> tuple[int, bytes, float]:
        """Status, content and seconds."""
        headers = {"Cookie": "; ".join(f"{one.key}={one.value}" for one in self.cookies.values())}
        body = None
        if form is not None:
            body = urlencode(form)
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        began = time.perf_counter()
        self.line.request("POST" if form is not None else "GET", path, body, headers)
        answer = self.line.getresponse()
        content = answer.read()
        took = time.perf_counter() - began
        for cookie in answer.headers.get_all("Set-Cookie", ()):
            self.cookies.load(cookie)
        return answer.status, content, took

    def sign_in(self) -> None:
        _, page, _ = self.ask("/login/")
        time.sleep(TYPING)
        token = re.search(rb'name="csrfmiddlewaretoken" value="(\w+)"', page)
        form = {"username": NAME, "password": PASSWORD}
        status, _, _ = self.ask(
            "/login/", {**form, "csrfmiddlewaretoken": token[1].decode() if token else ""}
        )
        if status != 302:
            raise SystemExit(f"Signing in at the portal was answered with {status}.")


def _measure(controller: Process, asked: dict[str, str], options: argparse.Namespace) -> list[dict[str, Any]]:
    browser, rows = Browser(controller.start()), []
    browser.sign_in()
    for name, path in asked.items():
        if options.only not in name:
            continue
        status, content, first = browser.ask(path)
        if status >= 500 and status != 503:  # 503: a page that says that the Routing Server is away
            raise SystemExit(f"{path} ({name}) was answered with {status}.")
        if status not in SHOWN:
            continue  # an address for forms only, or one that leads on
        before = used(controller.pid)
        again = [browser.ask(path)[2] for _ in range(options.times)]
        rows.append(
            {
                "page": name,
                "path": path,
                "kind": "file" if name in FILES else "page",
                "median_ms": round(1000 * statistics.median(again), 1),
                "processor_ms": round(1000 * (used(controller.pid) - before) / options.times, 1),
                "slowest_ms": round(1000 * max(again), 1),
                "first_ms": round(1000 * first, 1),
                "bytes": len(content),
            }
        )
    return rows


def _count_questions(rows: list[dict[str, Any]]) -> None:
    """How many SELECTs each address takes, counted here: its second look, as that of the Controller's process."""
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    from friendlyfl.controller.models import Person

    client = Client(SERVER_NAME="localhost")
    client.force_login(Person.objects.get(username=NAME))
    for row in rows:
        client.get(row["path"])
        with CaptureQueriesContext(connection) as captured:
            client.get(row["path"])
        row["questions"] = sum(query["sql"].startswith("SELECT") for query in captured)


def _print(rows: list[dict[str, Any]]) -> None:
    say(
        f"{'page':24} {'median':>8} {'processor':>9} {'slowest':>8} {'first':>8} {'bytes':>9} {'questions':>9}"
    )
    for row in rows:
        over = row["kind"] == "page" and (
            max(row["median_ms"], row["first_ms"]) > GOAL_MS
            or row["bytes"] > GOAL_BYTES
            or row["questions"] > GOAL_QUESTIONS
        )
        mark = " file" if row["kind"] == "file" else " over" if over else ""
        say(
            f"{row['page'][:24]:24} {row['median_ms']:8.1f} {row['processor_ms']:9.1f} {row['slowest_ms']:8.1f} "
            f"{row['first_ms']:8.1f} {row['bytes']:9,} {row['questions']:9}{mark}"
        )


if __name__ == "__main__":
    main()
