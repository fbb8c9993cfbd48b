"""Fixtures for every test; those that start servers live in `servers.fixtures`."""

pytest_plugins = ["servers.fixtures"]
