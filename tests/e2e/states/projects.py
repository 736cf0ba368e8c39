"""Projects and their hospitals."""

from typing import Any

from tests.e2e.states import State


def several() -> int:
    """A project that coordinates and is in the middle of everything, one that takes part, and one that waits."""
    from datetime import timedelta

    from django.utils import timezone

    from friendlyfl.controller import actions
    from friendlyfl.controller.models import Approval, Invitation, Project, Run
    from tests.controller.world import ADMIN, RESEARCHER, World

    world = World()
    ours = world.consortium(
        "University Hospital Northfield", "Lakeside", "Hilltop", name="Falls on the wards"
    )
    Project.objects.filter(pk=ours.project.pk).update(
        purpose="Do patients who take sleeping pills fall more often, given their age and ward?"
    )
    actions.verify_site(ADMIN, actions.find.peer("Lakeside"))
    stopped = ours.start()
    actions.stop_run(ADMIN, stopped)
    done = actions.start_run(RESEARCHER, ours.project)
    Run.objects.filter(pk=done.pk).update(state="succeeded", ended_at=timezone.now())
    plan = ours.project.plans.get(current=True)
    words = {"plan": plan, "epoch": plan.epoch}
    Approval.objects.create(**words, site=ours.others[1].uid, approved=True, person="lena")
    reason = "The column age is missing here for all of 2019."
    Approval.objects.create(**words, site=ours.others[2].uid, approved=False, person="hans", reason=reason)
    riverside = world.peer("Riverside")
    riverside.join(actions.invite_site(RESEARCHER, ours.project, "The clinic by the river").code, ours.uid)
    actions.refresh_invitations(ours.project)
    actions.invite_site(RESEARCHER, ours.project, "Westbrook")
    old = actions.invite_site(RESEARCHER, ours.project, "Oakham")
    Invitation.objects.filter(pk=old.pk).update(expires_at=timezone.now() - timedelta(days=1))
    study = world.study("Springfield", "Southgate", name="Low birth weight and smoking")
    study.propose()
    return ours.project.pk


def invited() -> str:
    from friendlyfl.controller.models import Invitation

    pk = several()
    return f"{pk}/joiners/{Invitation.objects.get(state='joined').pk}"


def open_code() -> str:
    from friendlyfl.controller.models import Invitation

    pk = several()
    return f"{pk}/codes/{Invitation.objects.filter(state='open').first().pk}"


def peer_of(name: str) -> Any:
    def made() -> str:
        from friendlyfl.controller import actions

        return f"{several()}/sites/{actions.find.peer(name).pk}"

    return made


def doubted() -> str:
    from friendlyfl.controller import doubts

    where = peer_of("Lakeside")()
    from friendlyfl.controller import actions

    doubts.begin(actions.find.peer("Lakeside"), doubts.SHOWN, "ab" * 32)
    return where


def doubted_project() -> str:
    return doubted().split("/")[0]


def first_code() -> int:
    from friendlyfl.controller import actions
    from tests.controller.world import RESEARCHER, World

    World()
    purpose = "Who falls, and does it help to check at night?"
    return actions.create_project(RESEARCHER, "Falls", purpose, ("Northfield", "Lakeside")).pk


def taking_part() -> int:
    """A run that waits for nobody, a plan that waits for this hospital."""
    from friendlyfl.controller import actions
    from tests.controller.world import ADMIN, World

    study = World().study("University Hospital Northfield", "Southgate", name="Low birth weight and smoking")
    study.ready()
    actions.verify_site(ADMIN, actions.find.peer("University Hospital Northfield"))
    study.propose(purpose="Do mothers who smoke have smaller children?")
    return study.project.pk


def waiting() -> int:
    from friendlyfl.controller.models import Project

    pk = taking_part()
    Project.objects.filter(pk=pk).update(state="joining")
    return pk


def closed() -> int:
    from friendlyfl.controller.models import Project

    pk = several()
    Project.objects.filter(pk=pk).update(state="closed")
    return pk


def wrong_project(page: Any) -> None:
    page.get_by_label("Name of the project").fill("Falls on the wards")
    page.get_by_label("Hospitals to invite").fill("Northfield\nLakeside")
    page.get_by_role("button", name="Start the project").click()


def wrong_code(page: Any) -> None:
    page.get_by_label("Invitation code").fill("FFL1-ABCDE-FGHJK")
    page.get_by_role("button", name="Check the code").click()


STATES = {
    "projects, empty": State("projects", "/projects/", role="researcher"),
    "projects, full": State("projects", "/projects/", several, role="viewer"),
    "project_new, error": State(
        "project_new", "/projects/new/", several, role="researcher", act=wrong_project, status=400
    ),
    "project_join, error": State(
        "project_join", "/projects/join/", several, role="site-admin", act=wrong_code, status=400
    ),
    "project, codes": State("project", "/projects/{}/", first_code, role="researcher"),
    "project, full": State("project", "/projects/{}/", several, role="site-admin"),
    "project, key in question": State("project", "/projects/{}/", doubted_project, role="researcher"),
    "project, closed": State("project", "/projects/{}/", closed, role="viewer"),
    "project, waiting": State("project", "/projects/{}/", waiting, role="site-admin"),
    "project, participant": State("project", "/projects/{}/", taking_part, role="site-admin"),
    "project_dataset": State("project_dataset", "/projects/{}/dataset/", taking_part, role="researcher"),
    "project_leave": State("project_leave", "/projects/{}/leave/", taking_part, role="site-admin"),
    "project_close": State("project_close", "/projects/{}/close/", first_code, role="site-admin"),
    "invite": State("invite", "/projects/{}/invite/", first_code, role="researcher"),
    "withdraw": State("withdraw", "/projects/{}/withdraw/", open_code, role="researcher"),
    "renew": State("renew", "/projects/{}/renew/", open_code, role="researcher"),
    "admit": State("admit", "/projects/{}/", invited, role="site-admin"),
    "verify": State("verify", "/projects/{}/verify/", peer_of("Lakeside"), role="site-admin"),
    "verify, key in question": State("verify", "/projects/{}/verify/", doubted, role="site-admin"),
    "remove": State("remove", "/projects/{}/remove/", peer_of("Hilltop"), role="site-admin"),
}
