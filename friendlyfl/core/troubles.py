"""What one site may say to another about a fault or in its log: a code, and the fixed sentence for it.

Only codes cross between sites; each side prints its own sentence, so no text of an exception, no column's name and
no count can travel. A code that is not listed is shown as `unknown`. The words that a site's own people see, with
rows and columns, are made where the fault is found and never leave.
"""

TROUBLES: dict[str, str] = {
    # before the first number
    "declined": "The hospital declined this plan.",
    "not_approved": "Nobody at the hospital approved the plan in time.",
    "no_dataset": "The hospital has not chosen a dataset for this project.",
    "dataset_missing": "The hospital's dataset cannot be read.",
    "dataset_empty": "The hospital's dataset holds no rows that can be used.",
    "column_missing": "A column of the data dictionary is not mapped at the hospital.",
    "column_type": "A column at the hospital does not hold what the data dictionary says.",
    "level_unknown": "A column at the hospital holds a value that is no level of the data dictionary.",
    "out_of_range": "A column at the hospital holds a value outside the range of the data dictionary.",
    "entry_late": "At the hospital somebody comes under observation no earlier than the observation ends.",
    "time_not_positive": "A time at the hospital is not positive, as this method needs it to be.",
    "weights_negative": "A weight at the hospital is negative.",
    "task_missing": "The hospital does not have this task in the version that the plan asks for.",
    "task_not_allowed": "The hospital's policy does not allow this task.",
    "parameters": "The hospital cannot use the plan's parameters for this task.",
    "data_problem": "The hospital's data do not fit the plan; its people see what to repair.",
    "disk_full": "The hospital's machine has too little free disk space.",
    "clock": "The hospital's clock is wrong.",
    # in a round
    "dataset_changed": "The hospital's dataset changed since the run began.",
    "refused_rows": "Refused by the hospital's rule: too few rows would be described.",
    "refused_cell": "Refused by the hospital's rule: too few people in a group.",
    "refused_ratio": "Refused by the hospital's rule: too many coefficients for the rows.",
    "refused_extremes": "Refused by the hospital's rule: a single person's value could show.",
    "refused_rounds": "Refused by the hospital's rule: too many rounds.",
    "refused_probes": "Refused by the hospital's rule: too many questions about one column.",
    "refused_difference": "Refused by the hospital's rule: these patients differ by too few from those of another step "
    "or an earlier plan. Ask about the same patients as there, or about more or fewer of them.",
    "refused_time": "Refused by the hospital's rule: times this fine need a secure sum, which a later version brings.",
    "refused_sum_of_sites": "Refused by the hospital's rule: too few hospitals in a secure sum.",
    "refused_tasks": "Refused by the hospital's rule: this task is not on its list.",
    "refused": "Refused by a rule of the hospital.",
    "bad_number": "The task made a number that cannot be sent (not finite, or too large).",
    "bad_update": "The hospital's Update does not have the agreed shape.",
    "task_failed": "The task stopped with an error at the hospital; its people find the details in their log.",
    "out_of_time": "The task took longer at the hospital than its policy allows.",
    "out_of_memory": "The task needed more memory than the hospital's policy allows.",
    # about the site as a whole
    "late": "The hospital did not answer before the deadline.",
    "left_project": "The hospital left the project.",
    "coordinator_lost": "The coordinator has been silent past the deadline.",
    "version": "The hospital runs a version of FriendlyFL that does not fit.",
    "unknown": "The hospital reported a fault that this version has no words for.",
}


LOG: dict[str, str] = {
    "invited": "The hospitals were asked to take part in this run.",
    "ready": "The data fit the plan; ready.",
    "state_sent": "The model so far was sent to the hospitals.",
    "computing": "Computing on this hospital's data.",
    "update_sent": "This hospital's numbers were sent.",
    "result_made": "The result of this step is there.",
    "run_succeeded": "The run is finished.",
    "run_failed": "The run failed.",
    "run_stopped": "The run was stopped.",
    "seat_succeeded": "This hospital's part is finished.",
    "seat_failed": "This hospital's part ended without a result.",
    "seat_stopped": "This hospital's part was stopped.",
    "restarted": "The controller was started again and carried on.",
    # an exception to a rule: which rule, and nothing of why or how far
    "loosened_rows": "By an exception at the hospital, fewer patients may be described than its rule asks for.",
    "loosened_cell": "By an exception at the hospital, groups may be smaller than its rule asks for.",
    "loosened_difference": "By an exception at the hospital, answers may differ by fewer patients than its rule says.",
    "loosened_ratio": "By an exception at the hospital, a model may have more columns than its rule allows.",
    "loosened_rounds": "By an exception at the hospital, a step may take more rounds than its rule allows.",
    "loosened_tasks": "By an exception at the hospital, a task may be used that is not on its list.",
    "loosened_probes": "By an exception at the hospital, more may be asked about a column than its rule allows.",
}


def known(code: str) -> str:
    """The code, or `unknown` for one that this version has no words for."""
    return code if code in TROUBLES or code in LOG else "unknown"


def sentence(code: str) -> str:
    """Return the fixed sentence of a code."""
    return TROUBLES.get(code) or LOG.get(code) or TROUBLES["unknown"]
