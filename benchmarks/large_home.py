"""A home of many years for the benchmark of pages: planted by the models directly, since acting it out would take days.

What is signed is really signed, chains hold, plans can be read and Results are those of the tasks' own examples, so
that every page does all of its work. The Routing Server and the other hospitals do not exist.
"""

import random
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

SITES, PROJECTS, RUNS, LINES, DATASETS, PEOPLE = 50, 20, 1_000, 100_000, 50, 30
LONG = 10_000  # events of the two long journals at least
LIVE = 20  # runs
LOG = 20_000  # lines of the long run's log
HERE_TOO = 5  # of the projects another hospital coordinates
NAME, PASSWORD = "adam", "a calm and long sentence"
ROUTER = "http://127.0.0.1:9"  # nobody answers there
STEPS = ("logistic_regression", "table_one", "kaplan_meier")
MANY = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Planted:
    """Keys of what a page can be about."""

    ours: int  # a project this hospital coordinates, of all sites
    theirs: int  # one that it takes part in
    asked: int  # a plan there that waits for its word
    live: int  # the long run, live
    ended: int  # one as long, ended, with Results
    seat: int  # an ended run of their project
    joiner: int  # an invitation whose hospital has joined
    open_code: int
    peer: int
    dataset: int
    person: int


def plant(home: Path) -> Planted:
    """Make the site in this folder and fill it. Django is set up in this process from here on."""
    from friendlyfl.controller.home import Home
    from friendlyfl.controller.setup import create_site

    create_site(Home(home), "St Mary's")
    from django.db import transaction

    with transaction.atomic():
        return _Planting().all()


class _Planting:
    """One planting; a method for each kind of record."""

    def all(self) -> Planted:
        from friendlyfl.controller.models import Identity, Person

        Identity.objects.update(router=ROUTER, lease=1)
        for n in range(PEOPLE):
            role = "site-admin" if not n else ("viewer", "researcher")[n % 2]
            Person.objects.create_user(username=f"{NAME}{n or ''}", password=PASSWORD, role=role)
        self._results()
        self._peers()
        self._datasets()
        self._projects()
        ended = self._long(ended=True)  # the oldest run: nobody has looked at it since the Controller began
        self._runs()
        live = self._long(ended=False)
        self._ledger()
        self._words()
        ours, theirs = self.projects[0], self.projects[-1]
        return Planted(
            ours=ours.pk,
            theirs=theirs.pk,
            asked=theirs.plans.get(current=True).pk,
            live=live,
            ended=ended,
            seat=theirs.runs.filter(state="succeeded").first().pk,
            joiner=ours.invitations.get(state="joined").pk,
            open_code=ours.invitations.filter(state="open").first().pk,
            peer=self.peers[0][0].pk,
            dataset=self.datasets[0].pk,
            person=Person.objects.last().pk,
        )

    def _results(self) -> None:
        from friendlyfl import datasets
        from friendlyfl.tasks import registry
        from friendlyfl.testing.worked_example import worked

        self.dictionary = datasets.dictionary("clinic")
        self.results = [worked(registry.find(name), name).outcome.result.to_json() for name in STEPS]
        self.steps = [
            {
                "seq": seq,
                "task": name,
                "version": registry.find(name).version,
                "title": registry.find(name).title,
                "parameters": dict(registry.find(name).example),
            }
            for seq, name in enumerate(STEPS, start=1)
        ]

    def _peers(self) -> None:
        from friendlyfl.controller.models import Peer
        from friendlyfl.wire.keys import STANDING, Identity, Subkey, make_card

        self.peers: list[tuple[Any, Identity]] = []
        for n in range(SITES):
            identity, site = Identity.generate(), str(uuid.uuid4())
            card = make_card(
                identity, Subkey.generate(), site=site, use=STANDING, seq=1, prev=None,
                not_before=0, not_after=4_000_000_000,
            )  # fmt: skip
            row = Peer.objects.create(
                site=site,
                name=f"Hospital {n + 1}",
                fingerprint=identity.fingerprint,
                card=card.to_json(),
                verified_by=NAME if n % 3 else "",
                verified_at=MANY if n % 3 else None,
            )
            self.peers.append((row, identity))

    def _datasets(self) -> None:
        from friendlyfl import datasets
        from friendlyfl.controller import actions, here
        from friendlyfl.controller.models import Dataset
        from friendlyfl.tasks.dictionary import Dictionary
        from friendlyfl.tasks.mapping import identity_mapping

        table, frame = here.home().folder.parent / "clinic.csv", datasets.load("clinic")[1]
        frame.to_csv(table, index=False)
        self.mapping = identity_mapping(Dictionary.parse(self.dictionary), frame).to_json()
        first, _ = actions.add_dataset(actions.Actor(NAME, "site-admin"), "Clinic 1", str(table))
        facts = {
            field.name: getattr(first, field.name)
            for field in Dataset._meta.concrete_fields
            if field.name not in ("id", "name")
        }
        Dataset.objects.bulk_create(Dataset(name=f"Clinic {n}", **facts) for n in range(2, DATASETS + 1))
        self.datasets = list(Dataset.objects.order_by("pk"))

    def _projects(self) -> None:
        from friendlyfl.controller.models import Project

        self.projects = []
        for n in range(PROJECTS):
            ours = n < PROJECTS - HERE_TOO
            project = Project.objects.create(
                uid=str(uuid.uuid4()),
                name=f"Study {n + 1}",
                purpose="Who is readmitted within a year?",
                role="coordinator" if ours else "participant",
                coordinator=_here() if ours else self.peers[0][0].site,
                epoch=1,
                dictionary=self.dictionary if ours else {},
                cohort="age >= 18" if ours else "",
                dataset=self.datasets[n],
            )
            self.projects.append(project)
            self._members(project, ours)
            self._plan(project, ours)

    def _members(self, project: Any, ours: bool) -> None:
        from friendlyfl.controller import here
        from friendlyfl.controller.models import Invitation, Manifest, Step
        from friendlyfl.controller.models import Mapping as Columns
        from friendlyfl.wire.trust import COORDINATOR, PARTICIPANT, Member, make_manifest

        roles = (COORDINATOR, PARTICIPANT) if ours else (PARTICIPANT, COORDINATOR)
        others = [
            Member(row.site, PARTICIPANT if n else roles[1], row.fingerprint)
            for n, (row, _) in enumerate(self.peers)
        ]
        me = Member(here.site(), roles[0], here.keys().identity.fingerprint)
        signer = here.keys().identity if ours else self.peers[0][1]
        signed = make_manifest(signer, project=project.uid, epoch=1, prev=None, members=[me, *others])
        Manifest.objects.create(project=project, epoch=1, sha256=signed.sha256, signed=signed.to_json())
        Columns.objects.create(project=project, version=1, mapping=self.mapping, made_by=NAME)
        if not ours:
            return
        Step.objects.bulk_create(Step(project=project, **step) for step in self.steps)
        for n, (row, _) in enumerate(self.peers):
            Invitation.objects.create(
                project=project, uid=uuid.uuid4().hex, label=row.name, code="", state="accepted",
                site=row.site, site_name=row.name, card=row.card, expires_at=MANY + timedelta(days=n),
            )  # fmt: skip
        later = datetime.now(UTC) + timedelta(days=7)
        for n in range(4):
            row = self.peers[n][0]
            Invitation.objects.create(
                project=project, uid=uuid.uuid4().hex, label=f"Riverside {n}", code=f"code-{n}", expires_at=later,
                **({} if n else {"state": "joined", "site": row.site, "site_name": "New", "card": row.card}),
            )  # fmt: skip

    def _plan(self, project: Any, ours: bool) -> None:
        from friendlyfl.controller import plans
        from friendlyfl.controller.models import Approval, Plan

        seats = [row.site for row, _ in self.peers]
        if not ours:
            seats[0] = _here()
        raw = plans.write(
            project=project.uid,
            name=project.name,
            purpose=project.purpose,
            seats=seats,
            dictionary=self.dictionary,
            steps=self.steps,
            rules={},
            cohort="age >= 18",
        )
        plan = Plan.objects.create(
            project=project, sha256=plans.read(raw).sha256, raw=raw, epoch=1, seq=0 if ours else 1
        )
        if ours:
            Approval.objects.bulk_create(
                Approval(plan=plan, site=site, epoch=1, approved=True, person="p") for site in seats
            )

    def _runs(self) -> None:
        """All but the long ones: most have succeeded, each with a short journal, its Results and its log."""
        from friendlyfl.controller.models import LogLine, Result, Run

        rows, plans = [], {project.pk: project.plans.get() for project in self.projects}
        for n in range(RUNS - 2):
            project = self.projects[n % PROJECTS]
            live = n >= RUNS - 2 - LIVE
            state = ("running" if live else "stopped") if live or n // PROJECTS % 7 == 3 else "succeeded"
            rows.append(_run(project, plans[project.pk], 1 + n // PROJECTS, state, n))
        made = Run.objects.bulk_create(rows)
        journals = ((run, self._journal(run, rounds=4)) for run in made)
        _write_journals(journals)
        done = [run for run in made if run.state == "succeeded"]
        Result.objects.bulk_create(
            (
                Result(run=run, step=step, result=result)
                for run in done
                for step, result in enumerate(self.results, start=1)
            ),
            batch_size=500,
        )
        LogLine.objects.bulk_create(
            LogLine(run=run, site=_here(), at=run.started_at.timestamp(), code="started") for run in made
        )

    def _long(self, ended: bool) -> int:
        """A run of all hospitals that began its step again and again, with a journal of 10,000 events."""
        from friendlyfl.controller.models import LogLine, Result, SiteProgress

        project = self.projects[0]
        rounds = LONG // (SITES + 1) + 1
        run = _run(project, project.plans.get(), 60 + ended, "succeeded" if ended else "running", RUNS)
        run.step, run.round = (3, 1) if ended else (1, rounds)
        run.save()
        _write_journals([(run, self._journal(run, rounds))])
        LogLine.objects.bulk_create(
            LogLine(
                run=run, site=self.peers[n % SITES][0].site, at=MANY.timestamp() + n, code="update_sent", step=1,
                round=1 + n // SITES % rounds,
            )
            for n in range(LOG)
        )  # fmt: skip
        if ended:
            for step, result in enumerate(self.results, start=1):
                Result.objects.create(run=run, step=step, result=result)
        else:
            SiteProgress.objects.bulk_create(
                SiteProgress(run=run, site=row.site, step=1, round=rounds, fraction=0.5)
                for row, _ in self.peers
            )
        return int(run.pk)

    def _journal(self, run: Any, rounds: int) -> list[Any]:
        """Events that the machines really take, up to the state that the run has."""
        from friendlyfl.controller import contents
        from friendlyfl.core import run as core_run
        from friendlyfl.core import seat as core_seat
        from friendlyfl.wire.codec import encode

        at, state = run.started_at.timestamp(), encode({".round": 1})
        sha = contents.keep(state)
        if not run.project.coordinates:
            found: list[Any] = [core_seat.Invited(at, 3, True, 1e9), core_seat.Prepared(at + 5)]
            last = [1 if run.state == "succeeded" else 0] * 2
            for step, count in zip((1, 2, 3), (rounds, *last), strict=True):
                for n in range(1, count + 1):
                    found.append(core_seat.StateCame(step, n, sha, at + 10 * n))
                    found.append(core_seat.UpdateMade(step, n, sha, at + 10 * n + 5))
                if run.state == "succeeded":
                    found.append(core_seat.ResultCame(step, sha, step == 3, at + 10 * count + 8))
            if run.state == "stopped":
                found.append(core_seat.Ended("stopped", f"stopped_by:{NAME}", at + 1000))
            return found
        # A short journal has three hospitals, so that 1,000 of them are made in seconds.
        sites = tuple(row.site for row, _ in self.peers)[: SITES if rounds > 4 else 3]
        found = [core_run.Start(at, sites, 3, 2, 1e9, 1e9), *(core_run.Ready(site, at + 2) for site in sites)]
        last = [1 if run.state == "succeeded" else 0] * 2
        for step, count in zip((1, 2, 3), (rounds, *last), strict=True):
            for n in range(1, count + 1):
                found.append(core_run.StateMade(step, n, sha, at + 10 * n))
                if n < count or run.state == "succeeded":
                    answers = random.sample(sites, len(sites))  # no hospital is always the last
                    found += [core_run.UpdateCame(site, step, n, sha, at + 10 * n + 5) for site in answers]
            if run.state == "succeeded":
                found.append(core_run.StepDone(step, count, sha, at + 10 * count + 8))
        if run.state == "stopped":
            found.append(core_run.Stop(NAME, at + 1000))
        return found

    def _ledger(self) -> None:
        """Lines in a good chain, and the post that each of them is about."""
        from friendlyfl.controller import ledger
        from friendlyfl.controller.models import Departure, Outbox, Run

        before, runs = ledger.FIRST, list(Run.objects.order_by("pk").select_related("project"))
        lines, post = [], []
        for n in range(1, LINES + 1):
            run = runs[n * len(runs) // (LINES + 1)]
            line = Departure(
                n=n,
                at=(MANY + timedelta(minutes=4 * n)).isoformat(timespec="milliseconds"),
                project=run.project.uid,
                run=run.uid,
                step=1,
                round=1 + n % 50,
                type="progress",
                to=[run.project.coordinator],
                what="Progress: 10% of this hospital's part of the round is done",
                bytes=300,
                before=before,
                msg=uuid.uuid4().hex,
            )
            line.hash = before = ledger.line_hash(line)
            lines.append(line)
            post.append(
                Outbox(
                    msg=line.msg, project=run.project, run=run, type="progress", state="sent", blob="0" * 64,
                    context={"step": 1, "round": line.round}, sent_at=MANY,
                )
            )  # fmt: skip
        Departure.objects.bulk_create(lines, batch_size=1000)
        Outbox.objects.bulk_create(post, batch_size=1000)

    def _words(self) -> None:
        from friendlyfl.controller.models import AuditLine

        AuditLine.objects.bulk_create(
            AuditLine(person=NAME, verb="start_run", object=f"run {n}", at=MANY) for n in range(5_000)
        )


def _here() -> str:
    from friendlyfl.controller import here

    return here.site()


def _run(project: Any, plan: Any, number: int, state: str, n: int) -> Any:
    from friendlyfl.controller.models import Run

    began = datetime.now(UTC) - timedelta(hours=6) if state == "running" else MANY + timedelta(hours=6 * n)
    return Run(
        uid=str(uuid.uuid4()),
        project=project,
        plan=plan,
        number=number,
        epoch=1,
        manifest=project.manifests.get().sha256,
        state=state,
        step=3 if state == "succeeded" else 1,
        round=1 if state == "succeeded" else 4,
        reason=f"stopped_by:{NAME}" if state == "stopped" else "",
        started_at=began,
        ended_at=None if state == "running" else began + timedelta(hours=1),
    )


def _write_journals(journals: Any) -> None:
    from friendlyfl.controller.models import RunEvent
    from friendlyfl.core.record import pack

    def rows() -> Iterator[Any]:
        for run, events in journals:
            side = "run" if run.project.coordinates else "seat"
            for n, event in enumerate(events, start=1):
                yield RunEvent(run=run, side=side, n=n, event=pack(event))

    RunEvent.objects.bulk_create(rows(), batch_size=2000)
