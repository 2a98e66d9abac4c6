"""What a group has done is a line in the log, a version."""

import logging

import pytest

from bus.codec import encode
from bus.records import Delivery, Record
from bus.tracing.account import Account
from tests.bus.solving import answer, task


def delivery(version: int) -> Delivery:
    key, headers, value = encode(task(version, weights_version=version))
    record = Record(topic="tasks", partition=0, offset=0, key=key, headers=headers, value=value)
    return Delivery(record=record, epoch=1)


def test_a_newer_version_ends_the_line_of_the_one_before(caplog: pytest.LogCaptureFixture) -> None:
    account = Account("solver")
    with caplog.at_level(logging.INFO):
        for version in (0, 0, 1):
            account.add(delivery(version), [answer(task(version))], rejected=False)
        assert len(caplog.messages) == 1
        # A straggler counts with what is done meanwhile.
        account.add(delivery(0), [], rejected=True)
        account.add(delivery(3), [answer(task(3))], rejected=False)
    first, second = caplog.messages
    assert first.startswith("solver, version 0: 2 answered in ") and first.endswith("by 2 attempts")
    assert second.startswith("solver, version 1: 2 answered in ")
    assert second.endswith("by 1 attempts, 1 rejected")
