"""What may never have happened, whatever the tests did: looked for when all is over, and by a test of its own.

No 5xx and no traceback at the Routing Server; no traceback on a screen or in a log; nothing readable in the server's
home and log; no name or uid of another participant at a participant.
"""

from collections import Counter

from friendlyfl.testing.canaries import Found, scan
from tests.e2e.house import SECRET, House


def faults(house: House) -> list[str]:
    """Everything that is wrong, in words; an empty list is what a test wants."""
    return [*server_errors(house), *tracebacks(house), *readable(house), *other_names(house)]


def server_errors(house: House) -> list[str]:
    counted = Counter((line["method"], line["route"], line["status"]) for line in house.requests())
    return [f"{number} times {what}" for what, number in counted.items() if what[2] >= 500]


def tracebacks(house: House) -> list[str]:
    logs = [house.router.log, *house.folder.glob("*.log"), *house.folder.glob("*/logs/*.log")]
    found = []
    for log in logs:
        text = log.read_text("utf-8", errors="replace")
        if "Traceback" in text or '"trace"' in text:
            at = max(text.find("Traceback"), text.find('"trace"'))
            found.append(
                f"a traceback in {log.relative_to(house.folder)}: {text[max(at - 300, 0) : at + 3000]}"
            )
    return found


def readable(house: House) -> list[str]:
    """Words of the plan, of the tables and of the hospitals' own talk must not be at the server, however dressed."""
    canaries = {
        "a word of the data dictionary": SECRET,
        "a word of a table": "Pseudonymis",
        "the list of predictors": '"predictors"',
        "the name of a column": '"visited"',
        "a number of the Result": "0.542106948447006",
    }
    found, files, size = scan([house.router_home, house.router.log], canaries)
    assert files >= 3 and size > 100_000, "the Routing Server's files were not found: nothing was looked at"
    assert kept_at_home(house), "the plan's word is not even at the hospitals: the search proves nothing"
    return [f"{one.what} in {one.path}" for one in found]


def kept_at_home(house: House) -> list[Found]:
    found, _, _ = scan([house.north.home], {"a word of the data dictionary": SECRET})
    return found


def other_names(house: House) -> list[str]:
    wrong = []
    for site, other in ((house.north, house.lake), (house.lake, house.north)):
        found, _, _ = scan([site.home, site.process.log], {other.name: other.name})
        wrong += [f"{site.name} has the name of {one.what} in {one.path}" for one in found]
    return wrong
