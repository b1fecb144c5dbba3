"""Seal every test from the caller's home, environment and clock zone."""

import pytest


@pytest.fixture(autouse=True)
def sealed_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Give the test an empty home and take away what could steer a mail program."""
    home = tmp_path_factory.mktemp("home")
    for name in ("XDG_CONFIG_HOME", "CREDENTIALS_DIRECTORY", "SSLKEYLOGFILE", "EMAIL", "SMTPSERVER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("TZ", "UTC")
