"""Every bound in one place: sizes in bytes, times in seconds. Settings may lower or raise them per site."""

KIB, MIB, GIB = 1024, 1024**2, 1024**3

ENVELOPE = 1 * MIB
MESSAGE_BODY = 2 * MIB
INLINE_BLOB = 256 * KIB
BLOB_CHUNK = 1 * MIB  # of plain text, inside a sealed blob
UPLOAD_CHUNK = 8 * MIB
BLOB = 8 * GIB
JSON_DEPTH = 8
RECIPIENTS = 500
RECORD = 64 * KIB  # a card, a manifest's policy, a step or plan record at the RS
MANIFEST = 256 * KIB
PAGE = 200
INBOX_MESSAGES = 100
INBOX_BYTES = 4 * MIB
NAME = 100  # characters of a person-given name

POLL_WAIT = 25
POLLS_PER_SITE = 2
BODY_STALL = 20  # a body that brings less than 1 KiB in this time is given up
REQUEST_SKEW = 300  # a signature's `created` against the RS's clock
NONCE_KEPT = 600
CONNECTED_WITHIN = 60  # a site silent for longer is disconnected
SMALL_CONTENT = 64 * KIB  # up to here a database and a pipe are faster than a file
HEARTBEAT = 30
LOGIN_KEPT = 12 * 3600
INVITATION_KEPT = 14 * 86400
BLOB_KEPT_AFTER_ACK = 24 * 3600
BLOB_KEPT = 30 * 86400
UPLOAD_KEPT = 48 * 3600
STANDING_KEY_KEPT = 30 * 86400

POSTS_BURST, POSTS_PER_SECOND = 500, 50
REQUESTS_PER_SECOND = 50
STRANGERS_PER_SECOND = 60
PASSWORD_TRIES_PER_MINUTE = 10

RING_SITES = 511  # in one sum, so that a 128-bit word cannot overflow
RING_MAGNITUDE = 2.0**54

ROUNDS = 100  # a step, under rules
STATE_BYTES = 64 * MIB  # bound of a State, Update or Result of the statistical tasks
TEXT_BYTES = 256 * KIB  # bound of a plan, log, progress or trouble message
