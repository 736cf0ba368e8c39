"""After a run: who knows what, searched byte by byte. The same is searched again when all tests are over (conftest)."""

from tests.e2e import aftermath
from tests.e2e.house import House


def test_nothing_readable_is_at_the_routing_server_and_no_name_at_another_participant(house: House) -> None:
    assert house.reference
    house.quiet()
    assert aftermath.faults(house) == []


def test_the_routing_servers_log_holds_no_code_and_no_query(house: House) -> None:
    text = house.router.log.read_text("utf-8")
    for (code,) in house.marys.ask("SELECT code FROM controller_invitation"):
        assert code not in text
    assert "Enrolment " not in text and "signature=" not in text.lower() and "?since=" not in text
    assert {line["route"] for line in house.requests()} >= {"/messages/", "/messages/inbox/"}
