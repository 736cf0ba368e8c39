"""The pages of runs as requests meet them: what they say, what they never say, what asks on, and the two acts."""

import re
import time
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from friendlyfl.controller import actions, contents, here, runs
from friendlyfl.controller.models import Job, LogLine, Outbox, Peer, Run, RunEvent, SiteProgress
from friendlyfl.controller.portal import watch
from friendlyfl.core import run as core_run
from friendlyfl.core import seat as core_seat
from friendlyfl.core.record import pack
from friendlyfl.wire.codec import encode
from tests.controller.portal.visitor import said
from tests.controller.world import ADMIN, Consortium, Study

PASSWORD = "a calm and long sentence"


def signed_in(role: str) -> Client:
    client = Client(SERVER_NAME="localhost")
    client.force_login(actions.add_person(ADMIN, f"a {role}", role, PASSWORD))
    return client


@pytest.fixture
def client() -> Client:
    return signed_in("researcher")


def address(text: str, part: str) -> str:
    """Where a part of the page asks on."""
    found = re.search(rf'hx-get="(/runs/\d+/{part}/[^"]*)"', text)
    assert found, f"{part} does not ask on"
    return found.group(1).replace("&amp;", "&")


# --- what the page says ---


def test_a_run_of_ours_says_who_has_to_act_and_shows_each_hospital(client, consortium: Consortium):
    run = consortium.start()
    text = said(client, f"/runs/{run.pk}/")
    assert "Waiting for two hospitals to begin." in text
    assert "Waiting for Northfield: a person there has to approve" in text
    for peer in consortium.others:
        consortium.ready_letter(peer, run).receive()
    text = said(client, f"/runs/{run.pk}/")
    assert "Two hospitals are ready" in text and "Connection check is being prepared here" in text
    assert "Not heard yet" not in text


def test_a_round_of_ours(client, consortium: Consortium):
    run = consortium.computing()
    consortium.update(consortium.others[0], run).receive()
    SiteProgress.objects.create(run=run, site=consortium.others[1].uid, step=1, round=1, fraction=0.3)
    text = said(client, f"/runs/{run.pk}/")
    assert "One of two hospitals has answered round 1 of at most 3." in text
    assert (
        "Southgate computes, 30% done" in text
        and 'value="30" aria-label="Southgate: share of this round"' in text
    )
    assert "Stop this run" in text and "Pause updates" in text
    assert "messages of this run have left this hospital so far." in text


def test_a_participant_reads_of_itself_and_its_coordinator_only(client, study: Study):
    run = study.ready()
    study.state(run).receive()
    SiteProgress.objects.create(run=run, site=here.site(), step=1, round=1, fraction=0.3)
    pages = [
        f"/runs/{run.pk}/{part}"
        for part in ("", "status/", "story/", "rounds/", "facts/", "log/", "stop/", "repeat/")
    ]
    everything = " ".join(said(client, path) for path in [*pages, "/runs/"])
    assert "This hospital is computing round 1 of at most 3." in everything
    assert "Computing here, round 1 of at most 3, 30% done" in everything
    assert "Only the coordinator, Northfield, can stop this run." in everything
    [other] = study.others
    for secret in (other.name, other.uid, "hospitals have answered", "Waiting for Southgate"):
        assert secret not in everything
    study.letter(
        study.coordinator, "stop", {"outcome": "failed", "reason": "below_quorum"}, run=run.uid
    ).receive()
    text = said(client, f"/runs/{run.pk}/")
    assert "Failed. Fewer hospitals than the plan asks for were left." in text
    assert "Your data stayed here." in text and other.name not in text


def test_a_participant_that_is_asked_is_led_to_the_request(client, study: Study):
    study.propose()
    run = study.invite()
    text = said(client, f"/runs/{run.pk}/")
    assert "Waiting for you: a site-admin of this hospital approves or declines." in text
    assert "Until then nothing is computed and nothing leaves." in text
    assert f'<a class="btn" href="/requests/{run.plan_id}/">' in text


def test_a_run_that_failed_says_why_what_it_means_and_who_acts(client, consortium: Consortium):
    run = consortium.computing()
    runs.feed(run.uid, runs.RUN, core_run.Tick(time.time() + 1e6))
    text = said(client, f"/runs/{run.pk}/")
    assert "Failed. Fewer hospitals than the plan asks for were left. The hospital did not answer" in text
    assert "All rows stayed in their hospitals. No result was made." in text
    assert "Call Northfield and Southgate: is the Controller there switched on" in text
    assert "Stop this run" not in text and "Repeat this run" in text


def test_a_finished_run_is_told_as_history_and_asks_nothing_more(client, study: Study):
    run = study.ready()
    study.state(run).receive()
    facts = {"what": "totals", "numbers": 3, "rows": 60, "rules": ""}
    made = core_seat.UpdateMade(1, 1, contents.keep(b"u"), time.time())
    runs.job_done(study.job("local"), runs.SEAT, made, facts)
    runs.feed(run.uid, runs.SEAT, core_seat.ResultCame(1, "r", True, time.time()))
    text = said(client, f"/runs/{run.pk}/")
    assert "Finished: this hospital has done its part." in text
    assert "Connection check: one round in 1 second, its result is there" in text
    assert "hx-get" not in text and "Pause updates" not in text and "<script" not in text


def test_names_and_details_are_text(client, consortium: Consortium):
    run = consortium.computing()
    Peer.objects.filter(site=consortium.others[0].uid).update(name="<b>North</b>")
    LogLine.objects.create(
        run=run, site=here.site(), at=1.0, code="task_failed", detail="<script>x</script>\nmore"
    )
    text = said(client, f"/runs/{run.pk}/") + said(client, f"/runs/{run.pk}/log/?page=99")
    assert "<b>North" not in text and "<script>x" not in text and "&lt;script&gt;x" in text
    assert "(seen here only, never sent)" in text


# --- asking on ---


def test_what_has_left_and_what_is_to_do_go_with_the_run(client, consortium: Consortium):
    run = consortium.computing()

    def sent() -> str:
        many = Outbox.objects.filter(run=run, here=False).count()
        return f"{many} messages of this run have left this hospital so far."

    page = said(client, f"/runs/{run.pk}/")
    assert sent() in page and "The run goes on by itself" in page
    actions.stop_run(ADMIN, run)
    facts = client.get(address(page, "facts")).content.decode()
    assert sent() in facts and sent() not in page and "The run goes on by itself" not in facts


def test_a_part_is_answered_with_nothing_until_it_looks_different(
    client, consortium: Consortium, monkeypatch
):
    run = consortium.computing()
    real = time.time
    at = real()
    monkeypatch.setattr(watch.time, "time", lambda: at)
    page = said(client, f"/runs/{run.pk}/")
    for part in ("status", "story", "rounds", "facts"):
        assert client.get(address(page, part)).status_code == 204
    consortium.update(consortium.others[0], run).receive()
    answer = client.get(address(page, "status"))
    assert answer.status_code == 200 and "One of two hospitals has answered" in answer.content.decode()
    again = address(answer.content.decode(), "status")
    assert again != address(page, "status") and client.get(again).status_code == 204
    assert 'hx-trigger="every 3s"' in page and 'hx-swap="outerHTML"' in page
    monkeypatch.setattr(watch.time, "time", lambda: at + 601)  # the page has been open for ten minutes
    slow = client.get(again).content.decode()
    assert 'hx-trigger="every 15s"' in slow and "every 3s" not in slow


def test_no_button_and_no_link_is_in_what_asks_on(client, consortium: Consortium):
    run = consortium.computing()
    for part in ("status", "story", "rounds"):
        text = said(client, f"/runs/{run.pk}/{part}/?since={int(time.time())}")
        assert "hx-get" in text and not re.search(r"<(a|button|input|summary|select) |tabindex", text)
    page = said(client, f"/runs/{run.pk}/")
    assert page.count("aria-live") == 1


def test_updates_can_be_paused(client, consortium: Consortium):
    run = consortium.computing()
    text = said(client, f"/runs/{run.pk}/?paused=1")
    assert "hx-get" not in text and "Go on with updates" in text and "Refresh" in text
    assert "<script" not in text


@pytest.mark.parametrize("query", ["", "?since=x&as=y", "?since=99999999999999999999", "?since=-1"])
def test_wrong_questions_are_answered_anyway(client, consortium: Consortium, query):
    run = consortium.computing()
    assert "No hospital has answered" in said(client, f"/runs/{run.pk}/status/{query}")


def test_a_page_asks_on_after_a_stop_until_every_hospital_has_stopped(client, consortium: Consortium):
    run = consortium.computing()
    actions.stop_run(ADMIN, run)
    text = said(client, f"/runs/{run.pk}/")
    assert text.count("Told to stop") == 2 and "hx-get" in text and "Stopped by adam." in text
    for peer in consortium.others:
        line = {"at": time.time(), "step": 0, "round": 0, "code": "seat_stopped"}
        consortium.letter(peer, "log", {"lines": [line]}, run=run.uid).receive()
    text = said(client, f"/runs/{run.pk}/")
    assert "Told to stop" not in text and text.count('<span class="tag bad">Stopped</span>') == 2
    assert "hx-get" not in text


def test_a_page_does_not_ask_for_ever_after_one_that_is_away(client, consortium: Consortium):
    run = consortium.computing()
    actions.stop_run(ADMIN, run)
    Run.objects.filter(pk=run.pk).update(ended_at=timezone.now() - timedelta(minutes=6))
    text = said(client, f"/runs/{run.pk}/")
    assert "hx-get" not in text and "Told to stop" in text


# --- the two acts ---


def test_stopping_asks_once_and_counts_once(client, consortium: Consortium):
    run = consortium.computing()
    assert "Stop run 1 at every hospital?" in said(client, f"/runs/{run.pk}/stop/")
    run.refresh_from_db()
    assert run.state == "running"  # a look changes nothing
    for _ in range(2):
        answer = client.post(f"/runs/{run.pk}/stop/", {"once": "k1"})
        assert (answer.status_code, answer["Location"]) == (302, f"/runs/{run.pk}/")
    text = said(client, f"/runs/{run.pk}/")
    assert "Run 1 is stopped." in text and "Stopped by a researcher." in text
    assert "has ended already" in said(client, f"/runs/{run.pk}/stop/")
    client.post(f"/runs/{run.pk}/stop/", {"once": "k2"})
    assert "Run 1 had ended before; nothing was stopped." in said(client, f"/runs/{run.pk}/")


def test_a_viewer_sees_whose_button_it_is(consortium: Consortium):
    run, viewer = consortium.computing(), signed_in("viewer")
    text = said(viewer, f"/runs/{run.pk}/")
    assert (
        "Stop this run" not in text
        and "A researcher or a site-admin of this hospital can stop this run." in text
    )
    assert viewer.post(f"/runs/{run.pk}/stop/", {"once": "k"}).status_code == 403
    assert '<form method="post" class' not in said(viewer, f"/runs/{run.pk}/stop/")


def test_a_participant_cannot_stop_or_repeat(client, study: Study):
    run = study.ready()
    for act in ("stop", "repeat"):
        answer = client.post(f"/runs/{run.pk}/{act}/", {"once": act})
        assert answer.status_code == 403 and "coordinator" in answer.content.decode()
    run.refresh_from_db()
    assert run.state == "running"


def test_repeating_asks_once_and_leads_to_the_new_run(client, consortium: Consortium):
    run = consortium.computing()
    refused = client.post(f"/runs/{run.pk}/repeat/", {"once": "k0"})
    assert refused.status_code == 409 and "A run is under way." in refused.content.decode()
    actions.stop_run(ADMIN, run)
    assert "The plan is the same as in that run." in said(client, f"/runs/{run.pk}/repeat/")
    answer = client.post(f"/runs/{run.pk}/repeat/", {"once": "k1"})
    made = Run.objects.get(repeats=run.uid)
    assert answer["Location"] == f"/runs/{made.pk}/"
    assert client.post(f"/runs/{run.pk}/repeat/", {"once": "k1"})["Location"] == f"/runs/{made.pk}/"
    text = said(client, f"/runs/{made.pk}/")
    assert "Run 2 has begun." in text and f'<a href="/runs/{run.pk}/">Run 1</a>' in text


@pytest.mark.parametrize(
    "part", ["", "status/", "story/", "rounds/", "facts/", "rounds.svg", "log/", "stop/", "repeat/"]
)
def test_a_run_that_is_not_there(client, part):
    assert client.get(f"/runs/77/{part}").status_code == 404


# --- the log, the list ---


def test_the_log_is_chosen_by_hospital(client, consortium: Consortium):
    run = consortium.computing()
    north, south = consortium.others
    for number in range(30):
        LogLine.objects.create(run=run, site=north.uid, at=1.0 + number, code="update_sent", step=1, round=1)
    LogLine.objects.create(run=run, site=south.uid, at=1.0, code="task_failed", step=1, round=1)
    text = said(client, f"/runs/{run.pk}/log/?hospital=2")
    assert "The task stopped with an error at the hospital" in text and "numbers were sent" not in text
    assert said(client, f"/runs/{run.pk}/log/?hospital=1").count("numbers were sent") == 25
    assert said(client, f"/runs/{run.pk}/log/?hospital=1&page=2").count("numbers were sent") == 5
    assert "Page 1 of 2" in said(client, f"/runs/{run.pk}/log/?hospital=99")


def test_the_list_of_runs(client, consortium: Consortium):
    assert "No runs yet." in said(client, "/runs/")
    run = consortium.computing()
    text = said(client, "/runs/")
    assert "One run is under way." in text and f'href="/runs/{run.pk}/"' in text and "Ours, run 1" in text


# --- the rounds ---


def searching(consortium: Consortium, *decrements: float | None) -> Run:
    """A run of a regression whose search came so near."""
    actions.set_dictionary(ADMIN, consortium.project, {
        "age": {"type": "number", "label": "Age", "unit": "years", "range": [0, 120]},
        "died": {"type": "integer", "label": "Died", "range": [0, 1]},
    })  # fmt: skip
    actions.add_step(
        ADMIN, consortium.project, "logistic_regression", {"outcome": "died", "predictors": ["age"]}
    )
    run = consortium.start()
    for peer in consortium.others:
        consortium.ready_letter(peer, run).receive()
    for number, decrement in enumerate(decrements, start=1):
        state = {".round": number, "search": {"theta": np.zeros(2), "decrement": decrement}}
        runs.feed(
            run.uid, runs.RUN, core_run.StateMade(1, number, contents.keep(encode(state)), float(number))
        )
        if number < len(decrements):
            for peer in consortium.others:
                runs.feed(run.uid, runs.RUN, core_run.UpdateCame(peer.uid, 1, number, "u", number + 0.5))
    run.refresh_from_db()
    return run


def test_the_chart_shows_how_near_the_answer_is(client, consortium: Consortium):
    run = searching(consortium, None, 4.0, 0.01, 1e-10)
    text = said(client, f"/runs/{run.pk}/")
    assert "were 2 standard errors from the answer after round 1, and 1 × 10⁻⁵ after round 3." in text
    assert f'<img src="/runs/{run.pk}/rounds.svg?step=1&amp;rounds=7"' in text
    assert '<td class="n">3</td><td class="n">1.0</td><td class="n">1 × 10⁻⁵</td>' in text
    assert '<td class="n">4</td><td class="n">under way</td>' in text
    drawn = client.get(f"/runs/{run.pk}/rounds.svg?step=1&rounds=7")
    assert drawn["Content-Type"] == "image/svg+xml" and drawn.content.count(b"<circle") == 3


def learning(consortium: Consortium, *losses: tuple[float, float] | None) -> Run:
    """A run of a learned model whose rounds have ended with these losses: of patients trained on and held back."""
    actions.set_dictionary(ADMIN, consortium.project, {
        "age": {"type": "number", "label": "Age", "unit": "years", "range": [0, 120]},
        "died": {"type": "integer", "label": "Died", "range": [0, 1]},
    })  # fmt: skip
    given = {"outcome": "died", "features": ["age"]}
    actions.add_step(ADMIN, consortium.project, "fedavg_sklearn", given)
    run = consortium.start()
    for peer in consortium.others:
        consortium.ready_letter(peer, run).receive()
    begun = core_run.StateMade(1, 1, contents.keep(encode({".round": 1})), 1.0)
    runs.job_done(run.jobs.get(kind="begin"), runs.RUN, begun)
    for number, loss in enumerate(losses, start=1):
        for peer in consortium.others:
            runs.feed(run.uid, runs.RUN, core_run.UpdateCame(peer.uid, 1, number, "u", number + 0.5))
        values = {"patients trained on": loss[0], "patients held back": loss[1]} if loss else {}
        quality = {
            "name": "Log loss",
            "values": values,
            "chosen_by": "patients held back",
            "counted": number - 3,
        }
        made = contents.keep(encode({".round": number + 1}))
        runs.job_done(
            run.jobs.get(kind="combine", round=number),
            runs.RUN,
            core_run.StateMade(1, number + 1, made, number + 1.0),
            {"quality": quality} if loss else {},
        )
    run.refresh_from_db()
    return run


def test_the_chart_of_a_learned_model_shows_its_losses_and_the_best_round(client, consortium: Consortium):
    run = learning(consortium, None, None, (0.7, 0.71), (0.52, 0.55), (0.41, 0.48), (0.35, 0.4951))
    text = said(client, f"/runs/{run.pk}/")
    assert "Log loss of patients held back: 0.7100 in round 3, 0.4951 in round 6." in text
    assert "Of patients held back round 5 has the least, 0.4800, and is the best so far." in text
    assert "The result counts round 5 as round 2." in text
    assert (
        '<td class="n">1.0</td><td class="n">0.4100</td><td class="n">best: 0.4800</td><td class="n">2</td>'
        in text
    )
    assert (
        '<td class="n">2</td><td class="n">1.0</td><td class="n"></td><td class="n"></td><td class="n"></td>'
        in text
    )
    drawn = client.get(f"/runs/{run.pk}/rounds.svg?step=1").content
    assert drawn.count(b"<polyline") == 4 and b">best</text>" in drawn  # two lines, and each in the key


def test_before_the_second_loss_the_chart_shows_times(client, consortium: Consortium):
    run = learning(consortium, None, None, (0.7, 0.71))
    text = said(client, f"/runs/{run.pk}/")
    assert "3 rounds" in text or "Three rounds" in text
    assert "Log loss" not in text


def test_a_participant_reads_no_loss(client, study: Study):
    run = study.ready()
    study.state(run).receive()
    quality = {"name": "Log loss", "values": {"everyone": 0.5}}
    for number in (1, 2):
        Job.objects.create(run=run, kind="combine", step=1, round=number, outcome={"quality": quality})
    facts = {"what": "totals", "numbers": 3, "rows": 60, "rules": ""}
    for number in (1, 2):
        job = run.jobs.select_related("run__project", "run__plan").get(kind="local", round=number)
        made = core_seat.UpdateMade(1, number, contents.keep(b"u"), float(number))
        runs.job_done(job, runs.SEAT, made, facts)
        came = core_seat.StateCame(1, number + 1, job.inputs["state"], float(number))
        runs.feed(run.uid, runs.SEAT, came)
    text = said(client, f"/runs/{run.pk}/") + said(client, f"/runs/{run.pk}/rounds/")
    assert "Log loss" not in text and "so only times are shown" in text


def test_without_a_distance_the_chart_shows_times_and_says_so(client, consortium: Consortium):
    run = consortium.computing()
    for step in ("", "?step=1", "?step=9", "?step=x"):
        assert client.get(f"/runs/{run.pk}/rounds.svg{step}").status_code == 404
    assert "<img" not in said(client, f"/runs/{run.pk}/")
    for peer in consortium.others:
        consortium.update(peer, run).receive()
    state = contents.keep(encode({".round": 2}))
    runs.feed(run.uid, runs.RUN, core_run.StateMade(1, 2, state, 5.0))
    assert "This method tells no distance from its answer, so only times are shown." in said(
        client, f"/runs/{run.pk}/"
    )
    assert client.get(f"/runs/{run.pk}/rounds.svg?step=1").content.count(b"<rect") == 1


# --- how much it asks for ---


def large(consortium: Consortium) -> Run:
    """50 hospitals, 1,000 runs, 20,000 lines of log, and a journal of 200 rounds."""
    run = consortium.computing()
    content_sites = [f"{number:08d}-0000-4000-8000-000000000000" for number in range(50)]
    Peer.objects.bulk_create(
        Peer(site=site, name=f"Hospital {number}", fingerprint="f" * 64, card={})
        for number, site in enumerate(content_sites)
    )
    run.events.filter(side="run").delete()
    events: list[Any] = [core_run.Start(1.0, tuple(content_sites), 1, 2, 600.0, 600.0)]
    events += [core_run.Ready(site, 2.0) for site in content_sites]
    for number in range(1, 201):
        at = 10.0 * number
        digest = contents.keep(encode({".round": number}))
        events.append(core_run.StateMade(1, number, digest, at))
        if number < 200:
            events += [core_run.UpdateCame(site, 1, number, digest, at + 5) for site in content_sites]
    RunEvent.objects.bulk_create(
        RunEvent(run=run, side="run", n=n, event=pack(event)) for n, event in enumerate(events, start=1)
    )
    Run.objects.filter(pk=run.pk).update(state="running", step=1, round=200)
    Run.objects.bulk_create(
        Run(
            uid=f"00000000-0000-4000-9000-{number:012d}", project=run.project, plan=run.plan, number=number,
            epoch=run.epoch, manifest=run.manifest, state="failed", reason="below_quorum:late",
        )
        for number in range(2, 1001)
    )  # fmt: skip
    LogLine.objects.bulk_create(
        LogLine(
            run=run, site=content_sites[number % 50], at=float(number), code="update_sent", step=1, round=1
        )
        for number in range(20_000)
    )
    SiteProgress.objects.bulk_create(
        SiteProgress(run=run, site=site, step=1, round=200, fraction=0.5) for site in content_sites
    )
    return Run.objects.get(pk=run.pk)


def test_pages_ask_the_database_a_fixed_number_of_times(client, consortium: Consortium):
    run = large(consortium)
    paths = [
        f"/runs/{run.pk}/{part}"
        for part in ("", "status/", "story/", "rounds/", "facts/", "rounds.svg?step=1", "log/")
    ]
    for path in [*paths, "/runs/", "/runs/?page=40"]:
        client.get(path)
        with CaptureQueriesContext(connection) as asked:
            began = time.monotonic()
            assert client.get(path).status_code in (200, 404)
            took = time.monotonic() - began
        reads = [query["sql"][:120] for query in asked if query["sql"].startswith("SELECT")]
        print(f"{path}: {1000 * took:.0f} ms, {len(reads)} reads")
        assert len(reads) <= 12, reads


# --- an open page and the session of whoever opened it ---


def session_ends(client: Client) -> Any:
    from django.contrib.sessions.models import Session

    return Session.objects.get(session_key=client.session.session_key).expire_date


@pytest.mark.parametrize("itself", [{"HTTP_HX_REQUEST": "true"}, {"HTTP_SEC_FETCH_DEST": "image"}])
def test_a_page_that_asks_on_keeps_nobody_signed_in(client, consortium: Consortium, monkeypatch, itself):
    run = consortium.computing()
    client.get(f"/runs/{run.pk}/")
    before = session_ends(client)
    later = timezone.now() + timedelta(minutes=10)
    monkeypatch.setattr(timezone, "now", lambda: later)
    client.get(f"/runs/{run.pk}/story/", **itself)
    assert session_ends(client) == before
    client.get(f"/runs/{run.pk}/")
    assert session_ends(client) > before + timedelta(minutes=9)


def test_when_the_session_has_ended_the_open_page_is_loaded_anew(client, consortium: Consortium):
    run = consortium.computing()
    answer = Client(SERVER_NAME="localhost").get(f"/runs/{run.pk}/story/", HTTP_HX_REQUEST="true")
    assert answer.status_code == 204 and answer["HX-Refresh"] == "true" and not answer.content


# --- what this hospital knows of its own work ---


def test_a_participant_keeps_what_it_tells_of_its_progress(client, study: Study):
    from friendlyfl.controller.agent import work
    from friendlyfl.controller.agent.bell import Bell

    run = study.ready()
    study.state(run).receive()
    job = study.job("local")
    job.run = run
    watched = work._Watch(job, Bell())
    for watched.done in (0.25, 0.5):
        watched._tell()
    row = SiteProgress.objects.get(run=run)
    assert (row.site, row.step, row.round, row.fraction) == (here.site(), 1, 1, 0.5)
    assert "Computing here, round 1 of at most 3, 50% done" in said(client, f"/runs/{run.pk}/")
