"""Before a run is started: it may be, or something stands in the way."""

from tests.e2e.states import State
from tests.e2e.states.plan import changed, proposed

STATES = {
    "start": State("start", "/projects/{}/start/", lambda: proposed().project.pk, role="researcher"),
    "start, changed plan": State("start", "/projects/{}/start/", changed, role="researcher"),
}
