"""A Routing Server in memory: the same resources, refusals and statuses, small. Post lives in `mail`.

For tests and simulations in one process; several sites share one house. It believes who asks (inside one
process there are no request signatures to check), forgets everything at the end, and is no full model of the
real server's permissions: those have tests of their own against the real one.
"""

import json
import threading
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

from friendlyfl.client.address import PREFIX
from friendlyfl.client.faults import Faults, Mishap
from friendlyfl.client.mail import Mail
from friendlyfl.client.problems import unreachable
from friendlyfl.client.records import Body, Project, Refused, Reply, Site, now, require
from friendlyfl.core.errors import FriendlyError
from friendlyfl.core.run import ENDED, MOVES, STANDBY, STOPPED
from friendlyfl.wire.keys import SignedCard, check_card
from friendlyfl.wire.trust import SignedManifest, accept_card, accept_next

WHERE = "memory"


class MemoryHouse:
    """The shared server. Hand it to a `MemoryRouter` for each site."""

    def __init__(self, faults: Faults | None = None) -> None:
        self.faults = faults or Faults()
        self.sites: dict[str, Site] = {}
        self.projects: dict[str, Project] = {}
        self.runs: dict[str, Body] = {}
        self.lock = threading.RLock()
        self.mail = Mail(self)

    # How a request comes in

    def ask(
        self, site: str, method: str, target: str, body: bytes, head: dict[str, str], wait: float
    ) -> tuple[int, bytes]:
        """Status and JSON (or the blob's bytes), or UnreachableError as the schedule says."""
        path, _, query = target.removeprefix(PREFIX).partition("?")
        mishap = self.faults.on_request(site, method, path)
        if mishap is Mishap.LOSE_REQUEST:
            raise unreachable("silent", WHERE, 0)
        if wait:
            self.mail.wait(site, path, query, wait)
        with self.lock:
            status, answer = self._answer(site, method, path.strip("/").split("/"), query, body, head)
        if mishap is Mishap.LOSE_ANSWER:
            raise unreachable("timeout", WHERE, 0)
        return status, answer

    def _answer(
        self, site: str, method: str, path: list[str], query: str, body: bytes, head: dict[str, str]
    ) -> tuple[int, bytes]:
        try:
            asked = {name: values[-1] for name, values in parse_qs(query).items()}
            if path[0] in ("messages", "uploads"):
                self._known(site)
                status, answer = self.mail.handle(site, method, path, asked, body, head)
            else:
                status, answer = self._records(site, method, path, asked, self.json(body))
        except Refused as refusal:
            status, answer = (
                refusal.status,
                {"code": refusal.code, "message": refusal.message, "who": refusal.who},
            )
        except FriendlyError as error:  # a check of `wire` said no
            status, answer = 422, {"code": error.code, "message": error.message, "who": error.who}
        if isinstance(answer, bytes):
            return status, answer
        return status, b"" if answer is None else json.dumps(answer).encode()

    @staticmethod
    def json(body: bytes) -> Any:
        try:
            return json.loads(body) if body else None
        except ValueError:
            raise Refused(400, "not_json", "The request's body is not JSON.") from None

    def _records(self, site: str, method: str, path: list[str], asked: dict[str, str], body: Any) -> Reply:
        rooms: dict[str, Callable[..., Reply]] = {
            "sites": self._sites,
            "projects": self._projects,
            "invitations": self._offers,
            "runs": self._runs,
        }
        if path[0] == "health":
            return 200, {"status": "ok"}
        if path[0] == "audit":
            self._known(site)
            return 200, []
        if path[0] not in rooms:
            raise Refused.not_found()
        if (method, path) != ("POST", ["sites"]):
            self._known(site)
        return rooms[path[0]](site, method, path[1:], asked, body)

    def _known(self, site: str) -> Site:
        if site not in self.sites:
            raise Refused(401, "unknown_site", "The Routing Server does not know this site; enrol it first.")
        return self.sites[site]

    # Sites

    def _sites(self, site: str, method: str, path: list[str], asked: dict[str, str], body: Any) -> Reply:
        match method, path:
            case "POST", []:
                return self._enrol(site, require(body, "uid", "name", "description", "card", "signature"))
            case "GET", [uid]:
                return 200, self._site_record(site if uid == "me" else self._fellow(site, uid))
            case "PATCH", ["me"]:
                for name, value in require(body, also=("name", "description")).items():
                    setattr(self.sites[site], name, value)
                return 200, self._site_record(site)
            case "POST", ["me", "heartbeat"]:
                return self._heartbeat(self.sites[site], require(body, "instance", "n", "id"))
            case "POST", ["me", "keys"]:
                return self._new_card(self.sites[site], require(body, "card", "signature"))
            case "GET", [uid, "keys"]:
                found = self.sites[site if uid == "me" else self._fellow(site, uid)]
                return 200, {"cards": [card.to_json() for card in found.cards]}
        raise Refused.not_found()

    def _enrol(self, site: str, body: Body) -> Reply:
        signed = SignedCard.from_json({"card": body["card"], "signature": body["signature"]})
        card = check_card(signed, site=body["uid"])
        if body["uid"] != site:
            raise Refused(422, "wrong_site", "The card belongs to another site.")
        held = self.sites.get(site)
        if held is not None and held.cards[0].sha256 != signed.sha256:
            raise Refused(409, "site_exists", "A site with this uid is enrolled already.")
        if held is None:
            about = (body["name"], body["description"])
            self.sites[site] = Site(site, *about, card.fingerprint, card.public, [signed])
        return 201, self._site_record(site)

    def _site_record(self, uid: str) -> Body:
        site = self.sites[uid]
        names = ("uid", "name", "description", "fingerprint")
        return {name: getattr(site, name) for name in names} | {"state": "active", "server_time": now()}

    def _fellow(self, site: str, uid: str) -> str:
        shared = any(p.holds(site) and p.holds(uid) for p in self.projects.values())
        if uid != site and not shared:
            raise Refused.not_found()
        return uid

    def _heartbeat(self, site: Site, body: Body) -> Reply:
        if site.holder not in ("", body["instance"]):
            raise Refused(409, "lease_held", "This site runs already, in another Controller.")
        if site.holder != body["instance"]:
            site.holder, site.fence = body["instance"], site.fence + 1
        mine = [p for p in self.projects.values() if p.holds(site.uid)]
        joins = [i for p in mine if p.coordinator == site.uid for i in p.invitations.values() if i["join"]]
        epochs = {p.uid: p.epochs[-1].epoch if p.epochs else 0 for p in mine}
        waiting = sum(1 for invitation in joins if invitation["state"] == "joined")
        return 200, {"lease": site.fence, "server_time": now(), "projects": epochs, "joins": waiting}

    def release(self, site: str) -> None:
        """As if the site's Controller had ended: the next instance gets the lease."""
        self.sites[site].holder = ""

    def _new_card(self, site: Site, body: Body) -> Reply:
        signed = SignedCard.from_json(body)
        card = check_card(signed, fingerprint=site.fingerprint, site=site.uid)
        if signed.sha256 in {held.sha256 for held in site.cards}:
            return 200, {"sha256": signed.sha256}
        accept_card(site.newest(card.use), signed, fingerprint=site.fingerprint, site=site.uid)
        site.cards.append(signed)
        return 201, {"sha256": signed.sha256}

    # Projects

    def project_of(self, site: str, uid: str, *, coordinator: bool = False) -> Project:
        project = self.projects.get(uid)
        if project is None or not project.holds(site):
            raise Refused.not_found()
        if coordinator and project.coordinator != site:
            raise Refused(403, "coordinator_only", "Only the coordinator of the project can do this.")
        return project

    def _projects(self, site: str, method: str, path: list[str], asked: dict[str, str], body: Any) -> Reply:
        match method, path:
            case "GET", []:
                return 200, [self._project_record(p) for p in self.projects.values() if p.holds(site)]
            case "POST", []:
                made = require(body, "uid", "name", "description")
                held = self.projects.get(made["uid"])
                if held is not None and (held.coordinator, held.name) != (site, made["name"]):
                    raise Refused(409, "uid_taken", "A project with this uid exists already.")
                project = held or Project(**made, coordinator=site, created_at=now())
                self.projects[project.uid] = project
                return 201, self._project_record(project)
            case "GET", [uid]:
                return 200, self._project_record(self.project_of(site, uid))
            case "PATCH", [uid]:
                project = self.project_of(site, uid, coordinator=True)
                for name, value in require(body, also=("name", "description", "state")).items():
                    setattr(project, name, value)
                return 200, self._project_record(project)
            case "DELETE", [uid]:
                self.project_of(site, uid, coordinator=True).state = "archived"
                return 204, None
            case _, [uid, "steps"]:
                return self._steps(site, method, uid, body)
            case "GET", [uid, "participants"]:
                return 200, self._members(site, self.project_of(site, uid))
            case "DELETE", [uid, "participants", other]:
                self.project_of(site, uid, coordinator=site != other).left.add(other)
                return 204, None
            case _, [uid, "manifest"]:
                return self._manifest(site, method, uid, body)
            case _, [uid, "invitations", *rest]:
                return self._invitations(self.project_of(site, uid, coordinator=True), method, rest, body)
        raise Refused.not_found()

    def _project_record(self, project: Project) -> Body:
        names = ("uid", "name", "description", "coordinator", "state", "plan_sha256", "created_at")
        epoch = project.epochs[-1].epoch if project.epochs else 0
        return {name: getattr(project, name) for name in names} | {"epoch": epoch}

    def _steps(self, site: str, method: str, uid: str, body: Any) -> Reply:
        project = self.project_of(site, uid, coordinator=method == "PUT")
        if method == "PUT":
            made = require(body, "plan_sha256", "steps")
            project.plan_sha256, project.steps = made["plan_sha256"], made["steps"]
        return 200, {"plan_sha256": project.plan_sha256, "steps": project.steps}

    def _members(self, site: str, project: Project) -> list[Body]:
        members = [m for m in project.epochs[-1].members if project.holds(m.site)] if project.epochs else []
        named = {m.site for m in members} if site == project.coordinator else {site, project.coordinator}
        return [
            {
                "site": m.site,
                "name": self.sites[m.site].name if m.site in named else None,
                "role": m.role,
                "fingerprint": m.fingerprint,
                "card": self.sites[m.site].standing.to_json(),
            }
            for m in members
        ]

    def _manifest(self, site: str, method: str, uid: str, body: Any) -> Reply:
        project = self.project_of(site, uid, coordinator=method == "POST")
        if method == "GET":
            return 200, {"manifests": [signed.to_json() for signed in project.signed]}
        signed = SignedManifest.from_json(require(body, "manifest", "signature"))
        if signed.sha256 in {held.sha256 for held in project.signed}:
            return 200, {"epoch": project.epochs[-1].epoch}
        held = project.epochs[-1] if project.epochs else None
        before = project.signed[-1].sha256 if project.signed else None
        new = accept_next(held, before, signed, self.sites[site].public)
        joined = {i["join"]["site"] for i in project.invitations.values() if i["join"]} | {site}
        if not all(member.site in joined or project.holds(member.site) for member in new.members):
            raise Refused(409, "not_joined", "The list names a hospital that has not joined.")
        project.signed.append(signed)
        project.epochs.append(new)
        project.left.clear()
        for invitation in project.invitations.values():
            if invitation["join"] and invitation["join"]["site"] in {m.site for m in new.members}:
                invitation["state"] = "accepted"
        return 201, {"epoch": new.epoch}

    # Invitations

    def _invitations(self, project: Project, method: str, rest: list[str], body: Any) -> Reply:
        if method == "GET" and not rest:
            return 200, list(project.invitations.values())
        if method == "POST" and not rest:
            made = require(body, "id", "label", also=("expires_at",))
            fresh = {"expires_at": None, **made, "state": "open", "join": None}
            return 201, project.invitations.setdefault(made["id"], fresh)
        if method == "DELETE" and len(rest) == 1:
            project.invitations.pop(rest[0], None)
            return 204, None
        raise Refused.not_found()

    def _offers(self, site: str, method: str, path: list[str], asked: dict[str, str], body: Any) -> Reply:
        found = next((p for p in self.projects.values() if path and path[0] in p.invitations), None)
        if found is None:
            raise Refused.not_found()
        invitation = found.invitations[path[0]]
        if method == "GET" and len(path) == 1:
            host = self.sites[found.coordinator]
            project = {"uid": found.uid, "name": found.name}
            coordinator = {"site": host.uid, "name": host.name}
            return 200, {"project": project, "coordinator": coordinator, **host.standing.to_json()}
        if method == "POST" and path[1:] == ["join"]:
            made = require(body, "card", "signature", "mac")
            joined = {"site": site, "name": self.sites[site].name, **made}
            if invitation["join"] not in (None, joined):
                raise Refused(
                    409, "invitation_used", "This code was used already; ask the coordinator for a new one."
                )
            invitation["join"] = joined
            if invitation["state"] == "open":
                invitation["state"] = "joined"
            return 200, {"state": invitation["state"]}
        raise Refused.not_found()

    # Runs

    def _runs(self, site: str, method: str, path: list[str], asked: dict[str, str], body: Any) -> Reply:
        match method, path:
            case "GET", []:
                return 200, [r for r in self._seen(site) if asked.get("project") in (None, r["project"])]
            case "GET", ["active"]:
                return 200, [run for run in self._seen(site) if run["state"] not in ENDED]
            case "POST", []:
                return self._create_run(site, body)
            case "GET", [uid]:
                return 200, self._seen_by(site, self.run_of(site, uid))
            case "PUT", [uid, "status"]:
                made = require(body, "state", "step", "round", "progress", also=("reason",))
                return self._status(site, self.run_of(site, uid), made)
            case "POST", [uid, "stop"]:
                run = self.run_of(site, uid)
                self.project_of(site, run["project"], coordinator=True)
                run["stop_message"] = require(body, "message")["message"]
                run["state"] = run["state"] if run["state"] in ENDED else STOPPED
                return 200, self._seen_by(site, run)
            case "GET", [uid, "logs"]:
                return 200, self.mail.logs(site, self.run_of(site, uid))
        raise Refused.not_found()

    def run_of(self, site: str, uid: str) -> Body:
        run = self.runs.get(uid)
        if run is None:
            raise Refused.not_found()
        self.project_of(site, run["project"])
        return run

    def _seen(self, site: str) -> list[Body]:
        runs = (run for run in self.runs.values() if self.projects[run["project"]].holds(site))
        return [self._seen_by(site, run) for run in runs]

    def _seen_by(self, site: str, run: Body) -> Body:
        seats = run["seats"]
        if site != self.projects[run["project"]].coordinator:
            seats = [seat for seat in seats if seat["site"] == site]
        return {**run, "seats": seats}

    def _create_run(self, site: str, body: Any) -> Reply:
        fields = ("uid", "project", "number", "plan_sha256", "epoch", "quorum")
        made = require(body, *fields, also=("deadline", "repeats"))
        project = self.project_of(site, made["project"], coordinator=True)
        held = self.runs.get(made["uid"])
        if held is not None and all(held[name] == made[name] for name in fields):
            return 200, self._seen_by(site, held)
        others = [run for run in self.runs.values() if run["project"] == project.uid]
        if held is not None or any(run["number"] == made["number"] for run in others):
            raise Refused(409, "number_taken", "A run with this number exists already in this project.")
        if any(run["state"] not in ENDED for run in others):
            raise Refused(409, "run_active", "A run of this project is active; stop it or wait for its end.")
        members = next((m.members for m in project.epochs if m.epoch == made["epoch"]), ())
        line = {"state": STANDBY, "step": 0, "round": 0, "progress": 0, "reason": ""}
        seats = [{"site": m.site, **line} for m in members if project.holds(m.site)]
        optional = {"deadline": None, "repeats": None, "stop_message": ""}
        self.runs[made["uid"]] = {**line, **optional, **made, "created_at": now(), "seats": seats}
        return 201, self._seen_by(site, self.runs[made["uid"]])

    def _status(self, site: str, run: Body, made: Body) -> Reply:
        if made["state"] not in MOVES:
            raise Refused(400, "unknown_state", "No run has such a state.")
        lines = [seat for seat in run["seats"] if seat["site"] == site]
        if site == self.projects[run["project"]].coordinator:
            if made["state"] != run["state"] and made["state"] not in MOVES[run["state"]]:
                raise Refused(409, "forbidden_move", f"A run that is {run['state']} cannot become that.")
            lines.append(run)
        if not lines:
            raise Refused(409, "no_seat", "This hospital has no seat in this run.")
        for line in lines:
            line.update({"reason": "", **made})
        return 200, self._seen_by(site, run)
