"""The relay: passes sealed messages and payloads on, and cannot open them.

A Starlette application (`app.relay`) on the tables that Django made, with plain SQL. How one message goes through:

    app -> call, body       one request, its body, one answer
        -> admission        which site asks
        -> accept           may it say this here
        -> commits          in one transaction with all others that wait, synced, and only then answered
        -> bell -> inbox    the reader's long poll wakes and looks
    uploads, store, expiry  large payloads: in, kept, forgotten

What does not live here: who exists and who belongs where (registry), heartbeat and leases (api).
"""
