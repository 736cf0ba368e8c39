"""HOW TO REACH THE ROUTER: one client of the Routing Server over HTTPS, and one in memory for tests.

`router.Router` has a method for each verb; `memory.MemoryRouter` has the same ones and shares its code. No
decision about a run lives here, and no other package of the house uses the HTTP library.
"""
