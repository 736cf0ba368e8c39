"""A logistic regression over hospitals beside the same one of the pooled table: time, memory, agreement.

    python -m benchmarks.statistics --rows 1000000 --columns 20 --sites 4 --json FILE

The table has one outcome (0 or 1) and `--columns` numeric predictors, in one Parquet file a site. The Routing Server,
the coordinator and every site are processes of their own, set up by the commands a person would type; a site's rules
are those it has by default. The time is from all sites being ready to the Result, by the coordinator's journal. When
the run is over and all of its processes have ended, statsmodels fits the pooled table in one process, with as many
threads as its linear algebra wants. A site's memory is the sum of the peaks of its Controller and of its runner.

Goals: 10,000,000 rows no slower than statsmodels and below 1 GiB at each site; 1,000,000 rows no slower, either.
Figures are in docs/benchmarks.md.
"""

import argparse
import itertools
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.watching import children, events, peak, say, until_over, write
from friendlyfl.testing.consortium import Consortium, Site, wait_for

PROJECT = "Statistics"
SEED = 20261124
PIECE = 250_000  # rows made at a time
TABLE_COPIES = 5  # of the pooled table that statsmodels holds at once, at most


def main() -> None:
    options = _options()
    if options.pooled:
        print(json.dumps(_pooled(Path(options.pooled))))
        return
    _enough_memory(options)
    with tempfile.TemporaryDirectory(prefix="friendlyfl-statistics-") as name:
        folder = Path(name)
        tables = folder / "tables"
        tables.mkdir()
        say(f"Writing {options.rows:,} rows into {options.sites} Parquet files")
        _write_tables(tables, options)
        with Consortium(folder / "consortium") as consortium:
            coordinator, sites = _consortium(consortium, tables, options.sites)
            _plan(coordinator, sites, tables, options)
            memory = _run(coordinator, sites)
            times = _times(coordinator)
            result = json.loads(coordinator.run("run", "results", "-p", PROJECT, "--json", "-"))["1"]
        say("The run is over and its processes have ended: statsmodels reads the pooled table")
        pooled = _in_own_process(tables)
    found = {
        "rows": options.rows,
        "columns": options.columns,
        "sites": options.sites,
        "ready_to_result_s": round(times["ready_to_result_s"], 3),
        "rounds": times["rounds"],
        "statsmodels_s": round(pooled["fit_s"], 3),
        "ratio": round(times["ready_to_result_s"] / pooled["fit_s"], 3),
        "largest_site_mb": round(max(sum(one.values()) for one in memory) / 1024, 1),
        "largest_difference_se": _difference(result, pooled),
    }
    more = {
        "preparing_s": round(times["preparing_s"], 1),
        "round_s": [round(seconds, 2) for seconds in times["round_s"]],
        "sites_mb": [{name: round(kib / 1024, 1) for name, kib in one.items()} for one in memory],
        "statsmodels": {name: value for name, value in pooled.items() if name not in ("names", "b", "se")},
        "versions": {name: version(name) for name in ("numpy", "scipy", "pyarrow", "statsmodels")}
        | {"python": platform.python_version()},
    }
    print(json.dumps(more, indent=2), file=sys.stderr)
    write(found, options.json)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_000_000, help="of all sites together")
    parser.add_argument("--columns", type=int, default=20, help="numeric predictors, beside the outcome")
    parser.add_argument("--sites", type=int, default=4, help="participants, beside the coordinator")
    parser.add_argument("--json", help="also write the figures to this file")
    parser.add_argument("--pooled", help=argparse.SUPPRESS)  # the process of statsmodels: a folder of tables
    return parser.parse_args()


def _enough_memory(options: argparse.Namespace) -> None:
    """statsmodels wants the whole table several times over; a machine that swaps measures nothing."""
    wanted = options.rows * (options.columns + 2) * 8 * TABLE_COPIES
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    meminfo = Path("/proc/meminfo")
    if meminfo.exists():
        line = next(each for each in meminfo.read_text().splitlines() if each.startswith("MemAvailable"))
        free = int(line.split()[1]) * 1024
    if free < wanted:
        raise SystemExit(
            f"statsmodels would need about {wanted >> 20:,} MB and {free >> 20:,} MB are free: take fewer rows."
        )


# --- the tables -----------------------------------------------------------------------------------


def _predictors(columns: int) -> list[tuple[str, float, float]]:
    """Name, middle and spread of each: in units as different as those of age, weight and a laboratory value."""
    return [
        (f"x{n + 1}", (0.0, 60.0, 5.0, 140.0)[n % 4], (1.0, 12.0, 0.5, 20.0)[n % 4]) for n in range(columns)
    ]


def _write_tables(folder: Path, options: argparse.Namespace) -> None:
    """Predictors that lean on each other a little, and an outcome that about 3 of 10 have."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    predictors = _predictors(options.columns)
    effects = np.random.default_rng(SEED).normal(0.0, 0.3, len(predictors))
    shares = [options.rows * n // options.sites for n in range(options.sites + 1)]
    for site, (start, end) in enumerate(itertools.pairwise(shares), start=1):
        draw = np.random.default_rng((SEED, site))
        schema = pa.schema([("y", pa.int64()), *((name, pa.float64()) for name, *_ in predictors)])
        with pq.ParquetWriter(folder / f"{site}.parquet", schema) as out:
            for first in range(start, end, PIECE):
                count = min(PIECE, end - first)
                shared = draw.normal(size=count)
                standard = [0.8 * draw.normal(size=count) + 0.6 * shared for _ in predictors]
                log_odds = -1.0 + sum(effect * one for effect, one in zip(effects, standard, strict=True))
                outcome = draw.random(count) < 1.0 / (1.0 + np.exp(-log_odds))
                values = [
                    middle + spread * one
                    for (_, middle, spread), one in zip(predictors, standard, strict=True)
                ]
                out.write_table(pa.table([outcome.astype(np.int64), *values], schema=schema))


# --- the run --------------------------------------------------------------------------------------


def _consortium(consortium: Consortium, tables: Path, sites: int) -> tuple[Site, list[Site]]:
    say(f"Setting up a Routing Server, a coordinator and {sites} sites")
    consortium.start_router()
    with ThreadPoolExecutor(2) as pool:
        made = list(pool.map(lambda n: consortium.add_site(f"site-{n}", f"Site {n}"), range(sites + 1)))
        for site in made:
            site.process.launch()
        for site in made:
            site.process.wait_ready()
        coordinator, others = made[0], made[1:]
        coordinator.run("project", "create", PROJECT)

        def join(number: int) -> None:
            site = made[number]
            code = coordinator.json("project", "invite", site.name, "-p", PROJECT)["code"]
            site.run("project", "join", code)
            site.run("dataset", "add", "table", str(tables / f"{number}.parquet"))

        list(pool.map(join, range(1, sites + 1)))
        for site in others:
            coordinator.run("project", "accept", site.name, "-p", PROJECT)
    return coordinator, others


def _plan(coordinator: Site, sites: list[Site], tables: Path, options: argparse.Namespace) -> None:
    predictors = _predictors(options.columns)
    dictionary: dict[str, Any] = {"y": {"type": "integer", "range": [0, 1]}}
    for name, middle, spread in predictors:
        dictionary[name] = {"type": "number", "range": [middle - 10 * spread, middle + 10 * spread]}
    path = tables / "dictionary.json"
    path.write_text(json.dumps(dictionary))
    coordinator.run("plan", "dictionary", "--file", str(path), "-p", PROJECT)
    coordinator.run(
        "plan", "add", "logistic_regression", "-p", PROJECT,
        "--set", "outcome=y", "--set", f"predictors={','.join(name for name, *_ in predictors)}",
    )  # fmt: skip
    plan = coordinator.json("plan", "propose", "-p", PROJECT)["plan"]

    def approve(site: Site) -> None:
        wait_for("the plan", lambda: site.json("project", "show", "-p", PROJECT)["plan_sha256"] == plan)
        site.run("dataset", "use", "table", "-p", PROJECT)
        site.run("plan", "approve", "-p", PROJECT)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(approve, sites))


def _run(coordinator: Site, sites: list[Site]) -> list[dict[str, int]]:
    """Run, and return the peaks of each site's Controller and runner, in KiB."""
    say("Running")
    coordinator.json("run", "start", "-p", PROJECT)
    peaks: list[dict[int, int]] = [{} for _ in sites]

    def look() -> None:
        for site, seen in zip(sites, peaks, strict=True):
            for pid in (site.process.pid, *children(site.process.pid)):
                seen[pid] = max(seen.get(pid, 0), peak(pid))

    until_over(coordinator, look)
    memory = []
    for site, seen in zip(sites, peaks, strict=True):
        own = max(seen.pop(site.process.pid), peak(site.process.pid))
        memory.append({"controller": own, "runner": max(seen.values(), default=0)})
    return memory


def _times(coordinator: Site) -> dict[str, Any]:
    """Seconds of preparing, from ready to Result, and of each round."""
    journal = events(coordinator)
    at = {kind: [event["at"] for event in journal if event["event"] == kind] for kind in ("Start", "Ready")}
    turns = [event["at"] for event in journal if event["event"] in ("StateMade", "StepDone")]
    return {
        "preparing_s": max(at["Ready"]) - at["Start"][0],
        "ready_to_result_s": turns[-1] - max(at["Ready"]),
        "rounds": len(turns) - 1,
        "round_s": [after - before for before, after in itertools.pairwise(turns)],
    }


# --- the pooled table -----------------------------------------------------------------------------


def _in_own_process(tables: Path) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.statistics", "--pooled", str(tables)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _pooled(tables: Path) -> dict[str, Any]:
    """statsmodels' Logit by its own search, on one matrix in memory; only the fit itself counts as its time."""
    import numpy as np
    import pyarrow.parquet as pq
    from statsmodels.discrete.discrete_model import Logit

    begun = time.perf_counter()
    paths = sorted(tables.glob("*.parquet"))
    names = [name for name in pq.read_schema(paths[0]).names if name != "y"]
    rows = sum(pq.read_metadata(path).num_rows for path in paths)
    outcome, design, start = np.empty(rows), np.ones((rows, 1 + len(names))), 0
    for path in paths:
        table = pq.read_table(path)
        end = start + table.num_rows
        outcome[start:end] = table["y"].to_numpy()
        for place, name in enumerate(names, start=1):
            design[start:end, place] = table[name].to_numpy()
        start = end
        del table
    read = time.perf_counter()
    model = Logit(outcome, design)
    made = time.perf_counter()
    fit = model.fit(method="newton", disp=False)
    fitted = time.perf_counter()
    return {
        "load_s": round(read - begun, 3),
        "make_s": round(made - read, 3),  # the model: statsmodels looks at the rank of the design here
        "fit_s": fitted - made,
        "iterations": int(fit.mle_retvals["iterations"]),
        "peak_mb": round(peak(os.getpid()) / 1024, 1),
        "names": ["(Intercept)", *names],
        "b": fit.params.tolist(),
        "se": fit.bse.tolist(),
    }


def _difference(result: dict[str, Any], pooled: dict[str, Any]) -> float:
    """The largest difference of two coefficients, in standard errors."""
    ours = {row["term"]: row["estimate"] for row in result["coefficients"]}
    return max(
        abs(ours[name] - b) / se
        for name, b, se in zip(pooled["names"], pooled["b"], pooled["se"], strict=True)
    )


if __name__ == "__main__":
    main()
