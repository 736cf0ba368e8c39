"""The Routing Server: keeps records (registry, api), forwards sealed post (relay), decides nothing, opens nothing.

Django owns the tables and the migrations; the relay works on the same tables with plain SQL.
"""
