"""One frozen, typed `Config`: load it, check it, describe it. Nothing heavy is imported for it."""

from gateway.config.loading import check, load
from gateway.config.manual import describe, sample, schema
from gateway.config.people import policy
from gateway.config.problems import ConfigError, Problem
from gateway.config.tables import Config

__all__ = ["Config", "ConfigError", "Problem", "check", "describe", "load", "policy", "sample", "schema"]
