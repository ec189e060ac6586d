"""Every change in every state, against the table; the fences; and what may be said of an unsettled commit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from tagapi.jobs import changes
from tagapi.jobs.changes import Verdict
from tagapi.jobs.errors import AlreadyFinished, IllegalTransition, JobCancelled, JobError, NotParked, StaleAttempt
from tagapi.jobs.model import EVENTS_KEPT, TRANSITIONS, Event, EventKind, Job, JobState, Progress, Request
from tagapi.jobs.steps import DOUBTS_AT_MOST

NOW = datetime(2024, 2, 29, 12, 0, tzinfo=UTC)
LATER = NOW + timedelta(minutes=1)  # every lease below has lapsed by then, and every delay is over
LEASE = timedelta(seconds=30)
DELAY = timedelta(seconds=10)

QUEUED, RUNNING, COMMITTING, WAITING, PARKED, SUCCEEDED, FAILED, CANCELLED = (
    JobState.QUEUED,
    JobState.RUNNING,
    JobState.COMMITTING,
    JobState.WAITING,
    JobState.PARKED,
    JobState.SUCCEEDED,
    JobState.FAILED,
    JobState.CANCELLED,
)
FINAL = {SUCCEEDED, FAILED, CANCELLED}


# -- jobs with an honest history -----------------------------------------------------------


def queued() -> Job:
    request = Request(job_id="j1", task="tags.compute", owner="ann", arguments={"n": 1})
    return changes.accept(request, NOW, 1)


def running(job: Job | None = None) -> Job:
    return changes.claim(job or queued(), NOW, worker="w1", lease=LEASE)


def committing() -> Job:
    job = running()
    return changes.begin_commit(job, NOW, epoch=job.epoch, result={"rows": 7})


def waiting() -> Job:
    job = running()
    return changes.retry(job, NOW, epoch=job.epoch, delay=DELAY, reason="Spark was away")


def unsettled() -> Job:
    """WAITING, lost after its point of no return."""
    return changes.recover(committing(), LATER, max_recoveries=3)


def unsettled_running() -> Job:
    return changes.claim(unsettled(), LATER, worker="w2", lease=LEASE)


def doubted_again(job: Job) -> Job:
    """What the attempt after which nobody asks any more leaves behind."""
    doubted = replace(job, doubts=DOUBTS_AT_MOST - 1, commit_unsettled=True)
    return changes.retry(doubted, LATER, epoch=job.epoch, delay=DELAY, reason="the table cannot be read")


def parked() -> Job:
    return doubted_again(committing())


def succeeded() -> Job:
    job = committing()
    return changes.succeed(job, NOW, epoch=job.epoch)


def failed() -> Job:
    job = running()
    return changes.fail(job, NOW, epoch=job.epoch, reason="no such table")


def cancelled() -> Job:
    job = running()
    return changes.cancelled(job, NOW, epoch=job.epoch)


def asked(job: Job) -> Job:
    """The same job, with a cancel asked while its attempt ran."""
    return changes.request_cancel(job, NOW)


JOB_IN: dict[JobState, Callable[[], Job]] = {
    QUEUED: queued,
    RUNNING: running,
    COMMITTING: committing,
    WAITING: waiting,
    PARKED: parked,
    SUCCEEDED: succeeded,
    FAILED: failed,
    CANCELLED: cancelled,
}

# -- the changes that move a job, and where they may lead -----------------------------------

MOVES: dict[str, tuple[Callable[[Job], Job], dict[JobState, JobState]]] = {
    "claim": (
        lambda job: changes.claim(job, LATER, worker="w", lease=LEASE),
        {QUEUED: RUNNING, WAITING: RUNNING},
    ),
    "begin_commit": (
        lambda job: changes.begin_commit(job, LATER, epoch=job.epoch, result={}),
        {RUNNING: COMMITTING},
    ),
    "succeed": (
        lambda job: changes.succeed(job, LATER, epoch=job.epoch, result={}),
        {RUNNING: SUCCEEDED, COMMITTING: SUCCEEDED, PARKED: SUCCEEDED},
    ),
    "fail": (
        lambda job: changes.fail(job, LATER, epoch=job.epoch, reason="no"),
        {QUEUED: FAILED, WAITING: FAILED, RUNNING: FAILED, COMMITTING: FAILED},
    ),
    "cancelled": (
        lambda job: changes.cancelled(job, LATER, epoch=job.epoch),
        {QUEUED: CANCELLED, WAITING: CANCELLED, RUNNING: CANCELLED},
    ),
    "retry": (
        lambda job: changes.retry(job, LATER, epoch=job.epoch, delay=DELAY, reason="away"),
        {RUNNING: WAITING, COMMITTING: WAITING},
    ),
    "release": (
        lambda job: changes.release(job, LATER, epoch=job.epoch),
        {RUNNING: WAITING, COMMITTING: WAITING, PARKED: WAITING},
    ),
    "doubt again": (doubted_again, {RUNNING: PARKED, COMMITTING: PARKED}),
}
AGAIN = [("begin_commit", COMMITTING)]
"""What an attempt may hear twice, when the reply to it was lost: it changes nothing."""

PAIRS = [(name, state) for name in MOVES for state in JobState if (name, state) not in AGAIN]


@pytest.mark.parametrize(("name", "state"), [(n, s) for n, s in PAIRS if s in MOVES[n][1]])
def test_a_legal_change_leads_where_the_table_says(name: str, state: JobState) -> None:
    change, leads = MOVES[name]
    assert change(JOB_IN[state]()).state is leads[state]


@pytest.mark.parametrize(("name", "state"), [(n, s) for n, s in PAIRS if s not in MOVES[n][1]])
def test_an_illegal_change_is_refused_by_name(name: str, state: JobState) -> None:
    with pytest.raises(IllegalTransition) as refused:
        MOVES[name][0](JOB_IN[state]())
    assert refused.value.state == state.value
    assert refused.value.code == "illegal_transition"


@pytest.mark.parametrize(("name", "state"), AGAIN)
def test_what_is_heard_again_changes_nothing(name: str, state: JobState) -> None:
    job = JOB_IN[state]()
    assert MOVES[name][0](job) is job


def test_the_changes_use_the_whole_table_and_nothing_else() -> None:
    used: dict[JobState, set[JobState]] = {state: set() for state in JobState}
    for _, leads in MOVES.values():
        for before, after in leads.items():
            used[before].add(after)
    assert used == {state: set(after) for state, after in TRANSITIONS.items()}


def test_the_last_three_states_are_final() -> None:
    assert {state for state in JobState if state.final} == FINAL


@pytest.mark.parametrize("state", sorted(FINAL, key=lambda state: state.value))
@pytest.mark.parametrize(
    "change",
    [
        *(move for move, _ in MOVES.values()),
        lambda job: changes.settle(job, LATER, epoch=job.epoch),
        lambda job: changes.advance(job, LATER, epoch=job.epoch, progress=Progress(done=1, total=9)),
        lambda job: changes.renew(job, LATER, epoch=job.epoch, lease=LEASE),
        lambda job: changes.recover(job, LATER, max_recoveries=3),
        lambda job: changes.request_cancel(job, LATER),
    ],
    ids=[*MOVES, "settle", "advance", "renew", "recover", "request_cancel"],
)
def test_nothing_changes_a_finished_job(state: JobState, change: Callable[[Job], Job]) -> None:
    assert_refused_or_unchanged(change, JOB_IN[state]())


def assert_refused_or_unchanged(change: Callable[[Job], Job], job: Job) -> None:
    try:
        after = change(job)
    except (JobError, JobCancelled):
        return
    assert after == job


# -- what an attempt may write --------------------------------------------------------------

ATTEMPT_WRITES: dict[str, Callable[..., Job]] = {
    "renew": partial(changes.renew, lease=LEASE),
    "advance": partial(changes.advance, progress=Progress(done=1, total=2)),
    "settle": changes.settle,
    "begin_commit": partial(changes.begin_commit, result={}),
    "succeed": partial(changes.succeed, result={}),
    "fail": partial(changes.fail, reason="no"),
    "cancelled": changes.cancelled,
    "retry": partial(changes.retry, delay=DELAY, reason="away"),
    "release": changes.release,
}


@pytest.mark.parametrize("state", JobState)
@pytest.mark.parametrize("name", ATTEMPT_WRITES)
@pytest.mark.parametrize("off", [-1, 1])
def test_a_write_of_another_epoch_is_refused_in_every_state(name: str, state: JobState, off: int) -> None:
    job = JOB_IN[state]()
    with pytest.raises(StaleAttempt) as refused:
        ATTEMPT_WRITES[name](job, NOW, epoch=job.epoch + off)
    assert (refused.value.epoch, refused.value.current) == (job.epoch + off, job.epoch)


def test_claim_retry_release_and_recover_fence_off_what_came_before() -> None:
    job = running()
    assert job.epoch == queued().epoch + 1
    assert changes.retry(job, NOW, epoch=job.epoch, delay=DELAY, reason="away").epoch == job.epoch + 1
    assert changes.release(job, NOW, epoch=job.epoch).epoch == job.epoch + 1
    assert changes.recover(job, LATER, max_recoveries=3).epoch == job.epoch + 1
    assert changes.recover(job, LATER, max_recoveries=0).epoch == job.epoch + 1


def test_a_cancel_on_the_way_out_fences_too() -> None:
    job = asked(running())
    released = changes.release(job, NOW, epoch=job.epoch)
    assert (released.state, released.epoch) == (CANCELLED, job.epoch + 1)


@pytest.mark.parametrize("state", [QUEUED, WAITING, *sorted(FINAL, key=lambda state: state.value)])
def test_a_lease_that_nobody_holds_cannot_be_renewed(state: JobState) -> None:
    job = JOB_IN[state]()
    with pytest.raises(StaleAttempt):
        changes.renew(job, NOW, epoch=job.epoch, lease=LEASE)


@pytest.mark.parametrize("state", [RUNNING, COMMITTING])
def test_a_renewal_touches_only_the_lease(state: JobState) -> None:
    job = JOB_IN[state]()
    renewed = changes.renew(job, LATER, epoch=job.epoch, lease=LEASE)
    assert renewed == replace(job, lease_until=LATER + LEASE)


@pytest.mark.parametrize("state", [RUNNING, COMMITTING])
def test_progress_is_kept(state: JobState) -> None:
    job = JOB_IN[state]()
    news = Progress(done=1, total=3)
    number = job.events[-1].number + 1
    event = Event(kind=EventKind.PROGRESS, at=NOW, number=number, attempt=job.attempt, progress=news)
    advanced = changes.advance(job, NOW, epoch=job.epoch, progress=news)
    assert advanced == replace(job, progress=news, events=(*job.events, event))
    assert news.percentage == 33.33


@pytest.mark.parametrize("state", [QUEUED, WAITING])
def test_a_job_that_no_attempt_holds_makes_no_progress(state: JobState) -> None:
    news = Progress(done=1, total=3)
    assert_refused_or_unchanged(
        lambda job: changes.advance(job, NOW, epoch=job.epoch, progress=news),
        JOB_IN[state](),
    )


def test_late_news_does_not_take_progress_back() -> None:
    """Two threads of a task report 1 and 2, and the writes arrive the other way round."""
    job = running()
    for done in (2, 1):
        job = changes.advance(job, NOW, epoch=job.epoch, progress=Progress(done=done, total=3))
    assert job.progress == Progress(done=2, total=3)


# -- claim ----------------------------------------------------------------------------------


def test_a_claim_begins_an_attempt() -> None:
    job = running()
    assert (job.attempt, job.worker, job.lease_until) == (1, "w1", NOW + LEASE)
    assert (job.started_at, job.finished_at, job.not_before) == (NOW, None, None)


def test_a_waiting_job_is_claimed_from_its_time_on_and_not_before() -> None:
    job = waiting()
    with pytest.raises(IllegalTransition):
        changes.claim(job, NOW + DELAY - timedelta(microseconds=1), worker="w2", lease=LEASE)
    assert changes.claim(job, NOW + DELAY, worker="w2", lease=LEASE).not_before is None


def test_a_second_attempt_starts_afresh_but_keeps_when_the_first_began() -> None:
    first = running()
    first = changes.advance(first, NOW, epoch=first.epoch, progress=Progress(done=5, total=9))
    again = changes.claim(
        changes.retry(first, NOW, epoch=first.epoch, delay=DELAY, reason="Spark was away"),
        LATER,
        worker="w2",
        lease=LEASE,
    )
    assert (again.attempt, again.started_at, again.progress) == (2, NOW, Progress())


def test_the_reason_of_a_retry_is_kept_until_the_next_attempt() -> None:
    job = waiting()
    assert job.error == "Spark was away"
    assert changes.claim(job, LATER, worker="w2", lease=LEASE).error is None


def test_a_job_that_succeeds_after_a_retry_has_no_error() -> None:
    job = running(replace(waiting(), not_before=NOW))
    assert changes.succeed(job, LATER, epoch=job.epoch, result={}).error is None


# -- the point of no return -----------------------------------------------------------------


def test_begin_commit_stores_the_result_to_be() -> None:
    job = committing()
    assert (job.state, job.result, job.commit_unsettled) == (COMMITTING, {"rows": 7}, False)


def test_a_cancel_before_the_point_of_no_return_wins() -> None:
    job = asked(running())
    with pytest.raises(JobCancelled):
        changes.begin_commit(job, NOW, epoch=job.epoch, result={})


def test_a_stale_attempt_learns_that_it_is_stale_even_where_a_cancel_was_asked() -> None:
    job = asked(running())
    with pytest.raises(StaleAttempt):
        changes.begin_commit(job, NOW, epoch=job.epoch - 1, result={})


def test_success_without_a_commit_is_the_point_of_no_return_itself() -> None:
    job = asked(running())
    with pytest.raises(JobCancelled):
        changes.succeed(job, NOW, epoch=job.epoch, result={})


def test_a_job_without_a_commit_succeeds_with_what_the_task_returned() -> None:
    job = running()
    done = changes.succeed(job, LATER, epoch=job.epoch, result={"rows": 1})
    assert (done.result, done.finished_at, done.lease_until, done.worker) == ({"rows": 1}, LATER, None, None)


def test_a_job_with_a_commit_succeeds_with_what_was_stored_unless_more_is_known_now() -> None:
    job = committing()
    assert changes.succeed(job, NOW, epoch=job.epoch).result == {"rows": 7}
    assert changes.succeed(job, NOW, epoch=job.epoch, result={"rows": 7, "id": "9"}).result == {"rows": 7, "id": "9"}


@pytest.mark.parametrize(
    ("reported", "told"),
    [(Progress(done=2, total=9), Progress(done=9, total=9)), (Progress(done=4), Progress(done=4, total=4))],
)
def test_success_completes_the_progress(reported: Progress, told: Progress) -> None:
    job = running()
    job = changes.advance(job, NOW, epoch=job.epoch, progress=reported)
    assert changes.succeed(job, NOW, epoch=job.epoch, result={}).progress == told


def test_a_failure_after_the_point_of_no_return_tells_no_result() -> None:
    job = committing()
    done = changes.fail(job, NOW, epoch=job.epoch, reason="the table is gone")
    assert (done.state, done.error, done.result) == (FAILED, "the table is gone", None)


# -- commits that nobody knows about --------------------------------------------------------


@pytest.mark.parametrize("job", [unsettled(), unsettled_running()], ids=["waiting", "running"])
def test_an_unsettled_job_can_be_neither_failed_nor_cancelled(job: Job) -> None:
    for change in (partial(changes.fail, reason="no"), changes.cancelled):
        with pytest.raises(IllegalTransition):
            change(job, LATER, epoch=job.epoch)


def test_settled_it_can() -> None:
    job = unsettled_running()
    job = changes.settle(job, LATER, epoch=job.epoch)
    assert (job.state, job.commit_unsettled, job.result) == (RUNNING, False, None)
    assert changes.fail(job, LATER, epoch=job.epoch, reason="no").state is FAILED
    assert changes.cancelled(job, LATER, epoch=job.epoch).state is CANCELLED


def test_found_it_succeeds_with_the_stored_result_even_where_a_cancel_was_asked() -> None:
    job = asked(unsettled_running())
    done = changes.succeed(job, LATER, epoch=job.epoch)
    assert (done.state, done.result, done.commit_unsettled) == (SUCCEEDED, {"rows": 7}, False)


@pytest.mark.parametrize("name", ["retry", "release"])
def test_it_stays_unsettled_and_keeps_its_result_through_further_attempts(name: str) -> None:
    job = asked(unsettled_running())
    again = MOVES[name][0](job)
    assert (again.state, again.commit_unsettled, again.result) == (WAITING, True, {"rows": 7})


@pytest.mark.parametrize("name", ["retry", "release"])
def test_leaving_in_the_middle_of_a_commit_leaves_it_unsettled(name: str) -> None:
    again = MOVES[name][0](committing())
    assert (again.state, again.commit_unsettled, again.result) == (WAITING, True, {"rows": 7})


@pytest.mark.parametrize("make", [queued, waiting, committing, unsettled], ids=lambda make: make.__name__)
def test_only_a_running_attempt_settles(make: Callable[[], Job]) -> None:
    assert_refused_or_unchanged(lambda job: changes.settle(job, LATER, epoch=job.epoch), make())


def test_a_lost_second_attempt_is_still_unsettled() -> None:
    job = changes.recover(unsettled_running(), LATER + LEASE, max_recoveries=0)
    assert (job.state, job.commit_unsettled, job.recoveries) == (WAITING, True, 2)


# -- a job in doubt -------------------------------------------------------------------------


def asked_in_vain(job: Job) -> Job:
    """An attempt asks what became of the commit, and hears nothing."""
    asking = changes.claim(job, LATER, worker="w2", lease=LEASE)
    return changes.retry(asking, LATER, epoch=asking.epoch, delay=timedelta(), reason="the table cannot be read")


def lost_while_asking(job: Job) -> Job:
    asking = changes.claim(job, LATER, worker="w2", lease=LEASE)
    return replace(changes.recover(asking, LATER + LEASE, max_recoveries=0), not_before=LATER)


@pytest.mark.parametrize("doubt", [asked_in_vain, lost_while_asking])
def test_a_job_is_asked_about_so_often_and_then_parked(doubt: Callable[[Job], Job]) -> None:
    job = unsettled()
    for _ in range(DOUBTS_AT_MOST - 1 - job.doubts):
        job = doubt(job)
        assert (job.state, job.commit_unsettled) == (WAITING, True)
    job = doubt(job)
    assert (job.state, job.commit_unsettled, job.result) == (PARKED, True, {"rows": 7})
    assert (job.worker, job.lease_until, job.finished) == (None, None, False)
    assert (job.events[-1].kind, job.events[-1].detail) == (EventKind.PARKED, job.error)


def test_an_answer_ends_the_count_of_doubts() -> None:
    asking = changes.claim(asked_in_vain(unsettled()), LATER, worker="w2", lease=LEASE)
    assert asking.doubts > 0
    assert changes.settle(asking, LATER, epoch=asking.epoch).doubts == 0


def test_a_process_that_leaves_adds_no_doubt() -> None:
    asking = unsettled_running()
    assert changes.release(asking, LATER, epoch=asking.epoch).doubts == asking.doubts


def test_a_parked_job_is_past_the_point_of_no_return() -> None:
    with pytest.raises(AlreadyFinished) as refused:
        changes.request_cancel(parked(), LATER)
    assert refused.value.state == "parked"


def test_an_admin_has_a_parked_job_asked_about_again_as_often_as_before() -> None:
    job = changes.settle_by_hand(parked(), LATER, by="root", verdict=Verdict.RETRY)
    assert (job.state, job.not_before, job.doubts, job.commit_unsettled) == (WAITING, LATER, 0, True)
    assert (job.events[-1].kind, job.events[-1].detail) == (EventKind.SETTLED, "retry, says root")
    assert asked_in_vain(job).state is WAITING


def test_an_admin_says_that_a_parked_jobs_commit_is_there() -> None:
    job = changes.settle_by_hand(parked(), LATER, by="root", verdict=Verdict.COMPLETED)
    assert (job.state, job.result, job.error, job.commit_unsettled) == (SUCCEEDED, {"rows": 7}, None, False)


def test_an_admin_says_that_a_parked_jobs_commit_is_not_there() -> None:
    job = changes.settle_by_hand(parked(), LATER, by="root", verdict=Verdict.FAILED)
    assert (job.state, job.result, job.commit_unsettled) == (FAILED, None, False)
    assert job.error == "its commit did not happen, says root"


def test_a_cancel_that_was_asked_before_is_honoured_where_the_commit_is_not_there() -> None:
    job = changes.settle_by_hand(doubted_again(asked(unsettled_running())), LATER, by="root", verdict=Verdict.FAILED)
    assert (job.state, job.result, job.error) == (CANCELLED, None, None)


@pytest.mark.parametrize("state", [state for state in JobState if state is not PARKED])
@pytest.mark.parametrize("verdict", Verdict)
def test_only_a_parked_job_is_settled_by_hand(state: JobState, verdict: Verdict) -> None:
    with pytest.raises(NotParked):
        changes.settle_by_hand(JOB_IN[state](), LATER, by="root", verdict=verdict)


# -- recover --------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [state for state in JobState if state not in (RUNNING, COMMITTING)])
def test_there_is_nothing_to_recover_where_nobody_holds_a_lease(state: JobState) -> None:
    job = JOB_IN[state]()
    assert changes.recover(job, LATER, max_recoveries=3) is job


def test_a_lease_that_has_not_lapsed_is_respected() -> None:
    job = running()
    assert changes.recover(job, NOW + LEASE - timedelta(microseconds=1), max_recoveries=3) is job
    assert changes.recover(job, NOW + LEASE, max_recoveries=3) is not job


def test_a_lost_attempt_makes_way_for_another_at_once() -> None:
    job = changes.recover(running(), LATER, max_recoveries=3)
    assert (job.state, job.not_before, job.recoveries) == (WAITING, LATER, 1)
    assert (job.worker, job.lease_until, job.commit_unsettled) == (None, None, False)


def test_the_fourth_loss_is_one_too_many() -> None:
    lost = replace(running(), recoveries=2)
    assert changes.recover(lost, LATER, max_recoveries=3).state is WAITING
    done = changes.recover(replace(lost, recoveries=3), LATER, max_recoveries=3)
    assert (done.state, done.recoveries, done.finished_at) == (FAILED, 4, LATER)
    assert done.error == "the process that ran it was lost 4 times"


@pytest.mark.parametrize("max_recoveries", [0, 3])
def test_a_lost_attempt_that_should_have_stopped_is_cancelled(max_recoveries: int) -> None:
    done = changes.recover(asked(running()), LATER, max_recoveries=max_recoveries)
    assert (done.state, done.finished_at, done.cancel_requested) == (CANCELLED, LATER, True)


@pytest.mark.parametrize("max_recoveries", [0, 3])
def test_a_loss_past_the_point_of_no_return_always_gets_another_attempt(max_recoveries: int) -> None:
    job = changes.recover(committing(), LATER, max_recoveries=max_recoveries)
    assert (job.state, job.commit_unsettled, job.result) == (WAITING, True, {"rows": 7})


# -- retry and release ----------------------------------------------------------------------


def test_a_retry_waits_and_counts() -> None:
    job = waiting()
    assert (job.not_before, job.attempt, job.lease_until, job.worker) == (NOW + DELAY, 1, None, None)


def test_a_release_does_not_count_and_does_not_wait() -> None:
    job = running()
    released = changes.release(job, LATER, epoch=job.epoch)
    assert (released.attempt, released.not_before, released.error) == (0, LATER, None)
    assert changes.claim(released, LATER, worker="w2", lease=LEASE).attempt == 1


def test_a_retry_of_a_job_that_should_stop_cancels_it() -> None:
    job = asked(running())
    done = changes.retry(job, NOW, epoch=job.epoch, delay=DELAY, reason="away")
    assert (done.state, done.finished_at, done.not_before) == (CANCELLED, NOW, None)


# -- request_cancel -------------------------------------------------------------------------


@pytest.mark.parametrize("make", [queued, waiting], ids=["queued", "waiting"])
def test_a_job_without_an_attempt_is_cancelled_at_once(make: Callable[[], Job]) -> None:
    done = changes.request_cancel(make(), LATER)
    assert (done.state, done.finished_at, done.cancel_requested) == (CANCELLED, LATER, True)


def test_a_running_job_is_flagged_once() -> None:
    job = changes.request_cancel(running(), LATER)
    assert (job.state, job.cancel_requested) == (RUNNING, True)
    assert changes.request_cancel(job, LATER) is job


@pytest.mark.parametrize("make", [unsettled, unsettled_running], ids=["waiting", "running"])
def test_an_unsettled_job_keeps_the_flag_until_it_is_known(make: Callable[[], Job]) -> None:
    job = make()
    number = job.events[-1].number + 1
    event = Event(kind=EventKind.CANCEL_REQUESTED, at=LATER, number=number, attempt=job.attempt)
    asked = changes.request_cancel(job, LATER)
    assert asked == replace(job, cancel_requested=True, events=(*job.events, event))


@pytest.mark.parametrize("name", ["begin_commit", "succeed"])
def test_an_attempt_of_a_job_that_was_cancelled_on_request_is_told_so(name: str) -> None:
    with pytest.raises(JobCancelled):
        MOVES[name][0](changes.request_cancel(queued(), NOW))


@pytest.mark.parametrize("state", [COMMITTING, *sorted(FINAL, key=lambda state: state.value)])
def test_it_is_too_late_past_the_point_of_no_return(state: JobState) -> None:
    with pytest.raises(AlreadyFinished) as refused:
        changes.request_cancel(JOB_IN[state](), LATER)
    assert refused.value.state == state.value


# -- values ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["submitted_at", "lease_until", "not_before", "started_at", "finished_at"])
def test_a_naive_time_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="aware"):
        replace(queued(), **{name: datetime(2024, 2, 29)})  # noqa: DTZ001


@pytest.mark.parametrize("state", [QUEUED, RUNNING, COMMITTING])
def test_a_change_at_a_naive_time_is_refused(state: JobState) -> None:
    naive = NOW.replace(tzinfo=None)
    legal = {
        QUEUED: lambda job: changes.claim(job, naive, worker="w", lease=LEASE),
        RUNNING: lambda job: changes.retry(job, naive, epoch=job.epoch, delay=DELAY, reason="away"),
        COMMITTING: lambda job: changes.succeed(job, naive, epoch=job.epoch),
    }
    with pytest.raises(ValueError, match="aware"):
        legal[state](JOB_IN[state]())


@pytest.mark.parametrize("state", JobState)
def test_a_change_is_a_new_value(state: JobState) -> None:
    job, same = JOB_IN[state](), JOB_IN[state]()
    for change, leads in MOVES.values():
        if state in leads:
            change(job)
    assert job == same


@pytest.mark.parametrize(
    ("progress", "percentage"),
    [
        (Progress(), 0.0),
        (Progress(done=3), 0.0),
        (Progress(done=0, total=0), 100.0),
        (Progress(done=1, total=3), 33.33),
        (Progress(done=5, total=4), 100.0),
    ],
)
def test_percentages(progress: Progress, percentage: float) -> None:
    assert progress.percentage == percentage


# -- what is told of a job ------------------------------------------------------------------


def told(job: Job) -> list[str]:
    return [event.kind.value for event in job.events]


def test_a_job_tells_its_way_from_acceptance_to_the_end() -> None:
    job = running(waiting_no_longer())
    job = changes.advance(job, LATER, epoch=job.epoch, progress=Progress(done=1, total=2))
    job = changes.advance(job, LATER, epoch=job.epoch, progress=Progress(done=2, total=2))
    job = changes.begin_commit(job, LATER, epoch=job.epoch, result={})
    job = changes.succeed(job, LATER, epoch=job.epoch)
    assert told(job) == ["accepted", "started", "retried", "started", "progress", "committed", "finished"]
    assert [event.attempt for event in job.events] == [0, 1, 1, 2, 2, 2, 2]
    assert job.events[0].at == NOW
    assert job.events[2].detail == "Spark was away"
    assert job.events[4].progress == Progress(done=2, total=2), "reports in a row are merged"
    assert job.events[-1].detail == "succeeded"


def waiting_no_longer() -> Job:
    return replace(waiting(), not_before=NOW)


def test_a_job_without_an_effect_says_nothing_of_a_commit() -> None:
    job = running()
    assert told(changes.succeed(job, NOW, epoch=job.epoch, result={})) == ["accepted", "started", "finished"]


@pytest.mark.parametrize(
    ("leave", "why"),
    [
        (lambda job: changes.release(job, NOW, epoch=job.epoch), "the process that ran it is leaving"),
        (lambda job: changes.recover(job, LATER, max_recoveries=3), "the process that ran it was lost"),
    ],
)
def test_an_attempt_without_an_outcome_says_why(leave: Callable[[Job], Job], why: str) -> None:
    job = leave(running())
    assert (told(job)[-1], job.events[-1].detail) == ("retried", why)


def test_a_cancel_is_told_once_and_then_the_end() -> None:
    job = changes.request_cancel(changes.request_cancel(running(), NOW), LATER)
    job = changes.cancelled(job, LATER, epoch=job.epoch)
    assert told(job) == ["accepted", "started", "cancel requested", "finished"]


def test_the_first_event_and_the_newest_are_kept() -> None:
    job = queued()
    for _ in range(EVENTS_KEPT):
        job = changes.retry(running(job), NOW, epoch=job.epoch + 1, delay=timedelta(), reason="away")
    assert len(job.events) == EVENTS_KEPT
    assert job.events[0].kind is EventKind.ACCEPTED
    assert (job.events[1].attempt, job.events[-1].attempt) == (51, EVENTS_KEPT)
