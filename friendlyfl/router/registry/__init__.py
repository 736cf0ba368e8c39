"""Who exists: the decisions on records (sites, projects, membership, runs), free of HTTP. The verbs' HTTP
side is in `api`.
"""
