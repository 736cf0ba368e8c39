"""A rule loosened for one project, by three hospitals and a Routing Server as processes of their own."""

import json

from tests.e2e.house import STUDY, House

RULES = "on, loosened by an exception at 1 hospital (rows)"


def test_a_run_that_a_rule_refuses_passes_by_an_exception_and_is_refused_after_its_end(house: House) -> None:
    marys, north, lake = house.members
    north.run("site", "rules", "--set", "rows=5000")
    try:
        assert house.end(house.start_run())["state"] == "failed"
        asked = ("--rule", "rows", "--value", "500", "--reason", "Agreed by the board.")
        number = str(north.json("site", "exception", "allow", "-p", STUDY, *asked)["number"])
        run = house.start_run()
        results = json.loads(house.succeed(run))
        for step in results.values():
            assert step["n"]["used"] == 3123 and step["privacy"]["rules"] == RULES
            assert [note for note in step["notes"] if note.startswith("Northfield: By an exception")]
        house.wait("the Result", lambda: len(json.loads(house.results(run, site=lake))) == 2)
        shared = house.results(run, site=lake)
        assert RULES in shared and "Northfield" not in shared
        assert "By an exception at the hospital, fewer patients" in marys.run("run", "logs", "-p", STUDY)
        told = marys.run("run", "logs", "-p", STUDY, "--json") + house.results(run)
        assert "board" not in told and "5000" not in told
        left = [line["rules"] for line in north.json("ledger") if line["type"] == "update"]
        assert "rows 500, " in left[-1] and "exception to rows by" in left[-1]
        north.run("site", "exception", "end", number)
        assert house.end(house.start_run())["state"] == "failed"
    finally:
        north.run("site", "rules", "--set", "rows=20")
