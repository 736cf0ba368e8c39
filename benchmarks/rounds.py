"""How long a round takes: State out to every site, Updates back, combined.

    python -m benchmarks.rounds --sites 8 --payload-bytes 1024 --rounds 20 --json FILE

The Routing Server, the coordinator and every site are processes of their own with full durability, set up by the
commands a person would type; post is sealed, signed, committed and synced as always. A round is the time between two
States in the coordinator's journal. Goal: a median under 120 ms with 8 sites and 1 KiB on two cores. Figures are in
docs/benchmarks.md.
"""

import argparse
import itertools
import json
import statistics
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.watching import events, peak, say, until_over, write
from friendlyfl.testing.consortium import Consortium, Site, wait_for

PROJECT = "Rounds"
WORD = 16  # bytes of one number in the ring
ROWS = 100


def main() -> None:
    options = _options()
    with (
        tempfile.TemporaryDirectory(prefix="friendlyfl-rounds-") as folder,
        Consortium(Path(folder)) as consortium,
    ):
        coordinator, sites = _consortium(consortium, options.sites)
        _plan(coordinator, sites, options)
        _run(coordinator)
        times = _round_times(coordinator)
        found = {
            "sites": options.sites,
            "payload_bytes": options.payload_bytes,
            "rounds": len(times),
            "median_ms": round(statistics.median(times) * 1000, 1),
            "p95_ms": round(sorted(times)[max(0, -(-len(times) * 95 // 100) - 1)] * 1000, 1),
            "peak_rss_mb": round(max(peak(one) for one in _pids(consortium)) / 1024, 1),
        }
    write(found, options.json)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sites", type=int, default=8, help="participants, beside the coordinator")
    parser.add_argument("--payload-bytes", type=int, default=1024, help="bytes of numbers in each Update")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--json", help="also write the figures to this file")
    return parser.parse_args()


def _consortium(consortium: Consortium, sites: int) -> tuple[Site, list[Site]]:
    say(f"Setting up a Routing Server, a coordinator and {sites} sites")
    consortium.start_router()
    table = consortium.folder / "table.csv"
    table.write_text("x\n" + "".join(f"{row}\n" for row in range(ROWS)))
    with ThreadPoolExecutor(2) as pool:
        made = list(pool.map(lambda n: consortium.add_site(f"site-{n}", f"Site {n}"), range(sites + 1)))
        for site in made:
            site.process.launch()
        for site in made:
            site.process.wait_ready()
        coordinator, others = made[0], made[1:]
        coordinator.run("project", "create", PROJECT)

        def join(site: Site) -> None:
            code = coordinator.json("project", "invite", site.name, "-p", PROJECT)["code"]
            site.run("project", "join", code)
            site.run("dataset", "add", "table", str(table))

        list(pool.map(join, others))
        for site in others:
            coordinator.run("project", "accept", site.name, "-p", PROJECT)
    return coordinator, others


def _plan(coordinator: Site, sites: list[Site], options: argparse.Namespace) -> None:
    path = Path(coordinator.home).parent / "dictionary.json"
    path.write_text(json.dumps({"x": {"type": "integer", "range": [0, ROWS]}}))
    numbers = max(1, options.payload_bytes // WORD)
    coordinator.run("plan", "dictionary", "--file", str(path), "-p", PROJECT)
    coordinator.run(
        "plan", "add", "connection_check", "-p", PROJECT,
        "--set", f"numbers={numbers}", "--set", f"rounds={options.rounds + 1}",
    )  # fmt: skip
    plan = coordinator.json("plan", "propose", "-p", PROJECT)["plan"]

    def approve(site: Site) -> None:
        wait_for("the plan", lambda: site.json("project", "show", "-p", PROJECT)["plan_sha256"] == plan)
        site.run("dataset", "use", "table", "-p", PROJECT)
        site.run("plan", "approve", "-p", PROJECT)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(approve, sites))


def _run(coordinator: Site) -> None:
    say("Running")
    coordinator.json("run", "start", "-p", PROJECT)
    until_over(coordinator)


def _round_times(coordinator: Site) -> list[float]:
    """Seconds from each State to the next one, or to the end, from the journal; the first is the warm-up's."""
    at = [event["at"] for event in events(coordinator) if event["event"] in ("StateMade", "StepDone")]
    return [after - before for before, after in itertools.pairwise(at[1:])]


def _pids(consortium: Consortium) -> list[int]:
    return [consortium.router.pid, *(site.process.pid for site in consortium.sites)]


if __name__ == "__main__":
    main()
