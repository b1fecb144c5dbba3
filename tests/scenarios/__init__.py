"""What servers do in the tests of the whole command, by subject; importing this package gathers all of it."""

from tests.scenarios import offers, replies, secrets, stages, tls
from tests.scenarios.scenario import SCENARIOS, Scenario

__all__ = ["SCENARIOS", "Scenario", "offers", "replies", "secrets", "stages", "tls"]
