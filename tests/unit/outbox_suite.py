"""What the outbox and its queue must do on every database: one suite, run on SQLite and on PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest
from sqlalchemy import insert
from sqlalchemy.exc import IntegrityError

from agents.notifier.receivers.receiver import Outcome
from agents.settings import ReceiverSettings
from agents.storage import outbox
from agents.storage.database import begin, begin_read, open_database
from agents.storage.exclusive import ExclusiveNames
from budgets.event import AlertEvent, parse_time
from tests.unit.alert_events import alert_event
from tests.unit.notifier_bench import DELIVERED, HOUR_MS, Bench, create_bench, retry

FIRING = alert_event("firing", 1)
ESCALATED = alert_event("escalated", 2)
RESOLVED = alert_event("resolved", 3)
OTHER = alert_event("firing", 2, service="policy-service")
NOW_MS = parse_time(RESOLVED.at) + 1_000


class OutboxSuite:
    """Subclasses say on which database by a fixture `url`."""

    @pytest.fixture
    async def bench(self, url: str) -> AsyncIterator[Bench]:
        bench = await create_bench(url, NOW_MS)
        yield bench
        await bench.close()

    def sent(self, bench: Bench) -> list[str]:
        return [message.event_id for message in bench.receiver.messages]

    async def test_an_event_is_sent_once_with_its_own_bytes(self, bench: Bench) -> None:
        assert await bench.take(FIRING) == {"pager"}
        assert await bench.queue.work_off() is None
        (message,) = bench.receiver.messages
        (row,) = await bench.rows(FIRING.fingerprint)
        assert (message.event_id, message.body) == (FIRING.id, row.body)
        assert (row.state, row.attempts, row.last_status, row.sent_at) == ("sent", 1, 204, NOW_MS)
        assert bench.metric("driftline_notifier_deliveries_total", receiver="pager", state="sent") == 1

    async def test_a_repeated_event_changes_nothing(self, bench: Bench) -> None:
        await bench.take(FIRING, FIRING)
        await bench.queue.work_off()
        assert await bench.take(FIRING) == set()
        await bench.queue.work_off()
        assert self.sent(bench) == [FIRING.id]

    async def test_the_events_of_an_alert_keep_their_order_while_other_alerts_pass(self, bench: Bench) -> None:
        bench.receiver.answers.append(retry())
        await bench.take(FIRING, ESCALATED, OTHER)
        due_ms = await bench.queue.work_off()
        assert due_ms == NOW_MS + 2_000
        assert self.sent(bench) == [FIRING.id, OTHER.id]
        bench.clock.move_to(due_ms)
        assert await bench.queue.work_off() is None
        assert self.sent(bench) == [FIRING.id, OTHER.id, FIRING.id, ESCALATED.id]

    async def test_waits_double_up_to_the_longest_until_the_receiver_is_back(self, bench: Bench) -> None:
        await bench.take(FIRING)
        bench.receiver.then = retry()
        waits = []
        for _ in range(8):
            due_ms = await bench.queue.work_off()
            assert due_ms is not None
            assert await bench.queue.work_off() == due_ms, "nothing is sent before it is due"
            waits.append(due_ms - bench.clock.ms)
            bench.clock.move_to(due_ms)
        assert waits == [2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 60_000]
        bench.receiver.then = DELIVERED
        assert await bench.queue.work_off() is None
        assert await bench.states(FIRING.fingerprint) == [("firing", "sent")]
        assert len(self.sent(bench)) == 9

    async def test_retry_after_holds_the_whole_queue(self, bench: Bench) -> None:
        bench.receiver.answers.append(retry(429, retry_after_ms=90_000))
        await bench.take(FIRING, OTHER)
        assert await bench.queue.work_off() == NOW_MS + 90_000
        assert self.sent(bench) == [FIRING.id]
        bench.clock.move_to(NOW_MS + 89_999)
        assert await bench.queue.work_off() == NOW_MS + 90_000
        bench.clock.move_to(NOW_MS + 90_000)
        await bench.queue.work_off()
        assert set(self.sent(bench)[1:]) == {FIRING.id, OTHER.id}

    async def test_a_resolution_supersedes_what_was_tried_in_vain_and_is_sent(self, bench: Bench) -> None:
        bench.receiver.then = retry(status=None)
        await bench.take(FIRING, ESCALATED)
        await bench.queue.work_off()
        bench.receiver.then = DELIVERED
        await bench.take(RESOLVED)
        await bench.queue.work_off()
        # What was never tried is sent: nothing says that it would not have arrived.
        assert await bench.states(FIRING.fingerprint) == [
            ("firing", "superseded"),
            ("escalated", "sent"),
            ("resolved", "sent"),
        ]
        (letter,) = bench.producer.records
        assert letter.value == bench.receiver.messages[0].body
        assert "superseded" in letter.headers["reason"]
        assert letter.headers["receiver"] == "pager"
        (row, *_) = await bench.rows(FIRING.fingerprint)
        assert "connection refused" in row.last_error

    async def test_the_resolution_of_another_episode_supersedes_nothing(self, bench: Bench) -> None:
        bench.receiver.then = retry()
        await bench.take(FIRING)
        await bench.queue.work_off()
        bench.receiver.then = DELIVERED
        await bench.take(alert_event("resolved", 3, started=1))
        await bench.queue.work_off()
        assert await bench.states(FIRING.fingerprint) == [("firing", "pending"), ("resolved", "pending")]

    async def test_fired_and_resolved_while_we_were_away_is_told_in_order(self, bench: Bench) -> None:
        await bench.take(FIRING, RESOLVED)
        await bench.queue.work_off()
        assert self.sent(bench) == [FIRING.id, RESOLVED.id]

    async def test_what_is_refused_is_dead_with_the_reason_and_what_follows_is_sent(self, bench: Bench) -> None:
        bench.receiver.answers.append(Outcome("refused", 400, "HTTP 400: the receiver cannot read the request"))
        await bench.take(FIRING, RESOLVED)
        await bench.queue.work_off()
        assert await bench.states(FIRING.fingerprint) == [("firing", "dead"), ("resolved", "sent")]
        (row, _) = await bench.rows(FIRING.fingerprint)
        assert (row.last_status, row.last_error) == (400, "HTTP 400: the receiver cannot read the request")
        (letter,) = bench.producer.records
        assert letter.topic == "driftline.dead-letter"
        assert letter.headers["reason"] == f"pager: {row.last_error}"
        assert letter.headers["source-topic"] == "driftline.alerts"
        assert letter.key == FIRING.fingerprint.encode()

    async def test_what_gets_too_old_is_dead_in_time_with_the_last_reason(self, bench: Bench) -> None:
        await bench.take(FIRING)
        bench.receiver.then = retry()
        end_ms = parse_time(FIRING.at) + bench.options.max_age
        while (due_ms := await bench.queue.work_off()) is not None:
            assert due_ms <= end_ms + 1
            bench.clock.move_to(due_ms)
        assert bench.clock.ms == end_ms + 1
        (row,) = await bench.rows(FIRING.fingerprint)
        assert row.state == "dead"
        assert "max_age" in row.last_error
        assert "HTTP 503" in row.last_error
        assert bench.producer.records[0].headers["reason"].endswith(row.last_error)
        assert bench.metric("driftline_notifier_deliveries_total", receiver="pager", state="dead") == 1

    async def test_when_the_receiver_is_back_everything_that_waits_is_sent_at_once(self, bench: Bench) -> None:
        bench.receiver.then = retry(status=None)
        await bench.take(FIRING, OTHER)
        for _ in range(6):
            due_ms = await bench.queue.work_off()
            assert due_ms is not None
            bench.clock.move_to(due_ms)
        bench.receiver.then = DELIVERED
        new = alert_event("firing", 3, service="infrastructure")
        await bench.take(new)
        await bench.queue.work_off()
        assert await bench.states(OTHER.fingerprint) == [("firing", "sent")]
        assert await bench.states(FIRING.fingerprint) == [("firing", "sent")]

    async def test_one_alert_that_the_receiver_fails_at_keeps_its_waits_while_others_arrive(self, bench: Bench) -> None:
        bench.receiver.answers.append(retry(500))
        await bench.take(FIRING, OTHER)
        assert await bench.queue.work_off() == NOW_MS + 2_000
        assert await bench.states(FIRING.fingerprint) == [("firing", "pending")]

    async def test_old_history_is_on_record_and_wakes_nobody(self, bench: Bench) -> None:
        bench.clock.move_to(NOW_MS + 25 * HOUR_MS)
        await bench.take(FIRING)
        await bench.take(alert_event("resolved", 3 + 25 * 240))
        assert await bench.queue.work_off() is None
        assert bench.receiver.messages == []
        assert await bench.states(FIRING.fingerprint) == [("firing", "expired"), ("resolved", "expired")]
        assert bench.metric("driftline_notifier_deliveries_total", receiver="pager", state="expired") == 2
        assert bench.producer.records == []

    async def test_a_batch_that_cannot_be_written_leaves_nothing(self, bench: Bench) -> None:
        impossible = msgspec.structs.replace(alert_event("firing", 2), episode=None)
        with pytest.raises(IntegrityError):
            await bench.take(FIRING, impossible)
        assert await bench.rows(FIRING.fingerprint) == []

    async def test_a_state_that_does_not_exist_is_refused(self, bench: Bench) -> None:
        await bench.take(FIRING)
        (row,) = await bench.rows(FIRING.fingerprint)
        values = {name: getattr(row, name) for name in outbox.outbox.c.keys() if name != "id"}  # noqa: SIM118
        with pytest.raises(IntegrityError):
            async with begin(bench.engine) as connection:
                await connection.execute(insert(outbox.outbox).values({**values, "event_id": "2", "state": "lost"}))

    async def test_the_backlog_counts_what_waits_and_pruning_forgets_what_is_old(self, bench: Bench) -> None:
        await bench.take(FIRING, ESCALATED)
        async with begin(bench.engine) as connection:
            assert await outbox.backlogs(connection) == {"pager": outbox.Backlog(2, NOW_MS)}
            assert await outbox.prune(connection, NOW_MS) == 0
            assert await outbox.prune(connection, NOW_MS + 1) == 2
            assert await outbox.backlogs(connection) == {}

    async def test_roles_that_start_at_once_open_one_database(self, url: str) -> None:
        engines = await asyncio.gather(*(open_database(url) for _ in range(4)))
        for engine in engines:
            async with begin(engine) as connection:
                await outbox.check_writable(connection)
            await engine.dispose()

    async def test_writers_wait_for_each_other_and_readers_for_nobody(self, bench: Bench) -> None:
        receivers = [ReceiverSettings(name=f"r{n}", type="webhook", url="http://r/") for n in range(4)]
        bench.intake._receivers = receivers

        async def read() -> int:
            async with begin_read(bench.engine) as connection:
                return len(await outbox.deliveries_of(connection, FIRING.fingerprint))

        events: list[AlertEvent] = [alert_event("firing", step) for step in range(10)]
        counts = await asyncio.gather(*(bench.take(event) for event in events), *(read() for _ in range(10)))
        assert all(count % 4 == 0 for count in counts if isinstance(count, int)), "a reader saw half of a transaction"
        assert await read() == 40

    async def test_a_name_is_held_again_and_again_by_who_holds_it(self, bench: Bench) -> None:
        names = ExclusiveNames(bench.engine)
        assert await names.hold("a")
        assert await names.hold("a")
        assert await names.hold("b")
        await names.release()
        assert await names.hold("a")
        await names.release()
