"""Every verb a person can do at this site. Portal, command line and notebook have no other way in.

A verb checks the person's role and the state of things, writes its audit line, and returns a record; it raises a
FriendlyError with one sentence. How post travels and when a run moves is decided below, in runs and inbox.
"""

from friendlyfl.controller.actions import find
from friendlyfl.controller.actions.actor import Actor
from friendlyfl.controller.actions.data import (
    add_dataset,
    check_columns,
    check_dataset,
    describe_dataset,
    give_dataset,
    map_column,
    map_columns,
    remove_dataset,
    save_dataset,
    use_dataset,
)
from friendlyfl.controller.actions.decide import approve, decline, revoke_approval
from friendlyfl.controller.actions.dictionary import remove_column, set_column, take_columns
from friendlyfl.controller.actions.exceptions import allow_exception, end_exception
from friendlyfl.controller.actions.keys import doubt_site, refresh_keys, safety_number, verify_site
from friendlyfl.controller.actions.notifications import send_test, set_mail, set_webhook
from friendlyfl.controller.actions.people import (
    add_person,
    change_own_password,
    change_role,
    first_person,
    set_language,
    set_password,
    switch_off_person,
    switch_on_person,
)
from friendlyfl.controller.actions.plan import (
    add_step,
    change_step,
    current_plan,
    move_step,
    propose_plan,
    remove_step,
    set_cohort,
    set_dictionary,
    set_rules,
)
from friendlyfl.controller.actions.project import (
    accept_joiner,
    close_project,
    create_project,
    invite_site,
    join_project,
    leave_project,
    publish_project,
    read_invitation,
    refresh_invitations,
    refresh_joining,
    refresh_manifests,
    remove_site,
    renew_invitation,
    withdraw_invitation,
)
from friendlyfl.controller.actions.rehearsal import remove_rehearsal, start_rehearsal
from friendlyfl.controller.actions.result import download_result
from friendlyfl.controller.actions.run import (
    export_ledger,
    launch,
    overview,
    reason_words,
    repeat_run,
    report,
    start_run,
    stop_run,
)
from friendlyfl.controller.actions.site import check_router, connect_router, policy, rename_site, set_policy

__all__ = [
    "Actor", "accept_joiner", "add_dataset", "add_person", "add_step", "allow_exception", "approve",
    "change_own_password", "change_role", "change_step", "check_columns", "check_dataset", "check_router",
    "close_project", "connect_router", "create_project", "current_plan", "decline", "describe_dataset",
    "doubt_site", "download_result", "end_exception", "export_ledger", "find", "first_person", "give_dataset",
    "invite_site", "join_project", "launch", "leave_project", "map_column", "map_columns", "move_step",
    "overview", "policy", "propose_plan", "publish_project", "read_invitation", "reason_words",
    "refresh_invitations", "refresh_joining", "refresh_keys", "refresh_manifests", "remove_column",
    "remove_dataset", "remove_rehearsal", "remove_site", "remove_step", "rename_site", "renew_invitation",
    "repeat_run", "report", "revoke_approval", "safety_number", "save_dataset", "send_test", "set_cohort",
    "set_column", "set_dictionary", "set_language", "set_mail", "set_password", "set_policy", "set_rules",
    "set_webhook", "start_rehearsal", "start_run", "stop_run", "switch_off_person", "switch_on_person",
    "take_columns", "use_dataset", "verify_site", "withdraw_invitation",
]  # fmt: skip
