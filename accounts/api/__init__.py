"""The REST API below /api/v1/: what the console does, for programs.

Each route names the `Permission` it needs (`access.needs`) and takes its rows from the `Scope` of the token's owner;
changes go through the services, as the console's do. `tests/console/test_api_roles.py` walks every route.
"""
