"""Which results go out again and when, and what a client has for certain."""

from jobmgr.api.socketio_results import MAX_ANSWERS, MAX_FORGOTTEN, MAX_REMEMBERED, TRIES, Result, Results, back_off


def told(results: Results, *seqs: int, job: int | None = None, now: float = 0.0) -> None:
    """These results go out for the first time; of jobs of the same number, or all of one."""
    for seq in seqs:
        results.sent(Result(seq, seq if job is None else job, b""), now)


def test_a_result_goes_out_ten_times_and_no_more() -> None:
    """The pauses double from one second to thirty, less some jitter; then it is remembered and not sent again."""
    results, now, pauses = Results(0), 0.0, []
    told(results, 5)
    while (until := results.next_at) is not None:
        pauses.append(until - now)
        now = until
        result = results.due(now)
        assert result is not None
        results.sent(result, now)
    assert len(pauses) == TRIES - 1
    for pause, most in zip(pauses, [1, 2, 4, 8, 16, 30, 30, 30, 30], strict=True):
        assert 0.8 * most <= pause <= most
    assert (results.place, results.waiting) == (0, 1)


def test_pauses_have_jitter() -> None:
    """Clients that were told at the same time are not told again at the same time."""
    assert len({back_off(3) for _ in range(20)}) > 10


def test_nothing_is_due_before_its_time() -> None:
    """What was just sent is not sent again at once."""
    results = Results(0, lambda tries: 1.0)
    told(results, 5, now=10.0)
    assert (results.due(10.9), results.next_at) == (None, 11.0)


def test_what_was_acknowledged_is_not_due() -> None:
    """An answer in time is the end of it."""
    results = Results(0, lambda tries: 1.0)
    told(results, 5, 6)
    results.acknowledge(5)
    due = results.due(2.0)
    assert due is not None
    assert due.seq == 6


def test_the_place_is_below_the_lowest_result_that_is_open() -> None:
    """Results 5, 7 and 9: with 7 and 9 acknowledged the client has all before 5, then all up to 9."""
    results = Results(3)
    told(results, 5, 7, 9)
    assert results.place == 3
    results.acknowledge(7)
    results.acknowledge(9)
    assert results.place == 4
    results.acknowledge(5)
    assert results.place == 9


def test_an_open_result_above_what_was_acknowledged_changes_nothing() -> None:
    """What was never acknowledged does not move the place up to just before it."""
    results = Results(3)
    told(results, 50)
    assert results.place == 3


def test_ack_until_covers_all_before() -> None:
    """`ack` 7 settles 5 and 7, not 9."""
    results = Results(0, lambda tries: 1.0)
    told(results, 5, 7, 9)
    results.acknowledge_until(7)
    assert (results.place, results.waiting) == (7, 1)


def test_an_unknown_number_acknowledges_nothing() -> None:
    """A client cannot move its place by a number that was no result, nor by answering twice."""
    results = Results(3)
    told(results, 5)
    results.acknowledge(1000)
    results.acknowledge(5)
    results.acknowledge(5)
    assert results.place == 5


def test_the_name_of_the_job_acknowledges_its_result() -> None:
    """The way of known clients."""
    results = Results(0)
    told(results, 5, job=2)
    results.acknowledge_job(2)
    assert (results.place, results.waiting) == (5, 0)


def test_two_ends_of_one_job_need_two_answers() -> None:
    """A job that was restarted ends twice: each answer is for one end, in order."""
    results = Results(0)
    told(results, 5, 9, job=2)
    results.acknowledge_job(2)
    assert results.place == 5
    results.acknowledge_job(2)
    assert results.place == 9


def test_the_second_answer_to_a_repeated_result_is_not_taken_for_the_next() -> None:
    """Sent twice, answered twice: the second answer says nothing of the end that was told between."""
    results = Results(0, lambda tries: 1.0)
    told(results, 5, job=2)
    again = results.due(1.0)
    assert again is not None
    results.sent(again, 1.0)
    results.acknowledge_job(2)
    told(results, 9, job=2)
    results.acknowledge_job(2)
    assert (results.place, results.waiting) == (5, 1)
    results.acknowledge_job(2)
    assert (results.place, results.waiting) == (9, 0)


def test_the_oldest_of_too_many_are_forgotten_but_not_taken_for_acknowledged() -> None:
    """A client that acknowledges nothing: the memory has a bound, and its place stays where it was."""
    results = Results(0, lambda tries: 1.0)
    told(results, *range(1, MAX_REMEMBERED + 101))
    assert results.waiting == MAX_REMEMBERED
    results.acknowledge(MAX_REMEMBERED + 100)
    assert results.place == 0


def test_what_was_forgotten_is_not_sent_again() -> None:
    """The oldest of those that are due is the oldest that is remembered."""
    results = Results(0, lambda tries: 1.0)
    told(results, *range(1, MAX_REMEMBERED + 101))
    due = results.due(1.0)
    assert due is not None
    assert due.seq == 101


def test_ack_until_covers_what_was_forgotten() -> None:
    """Of 100 that were forgotten: up to 40 the place follows, from 100 on nothing is left of it."""
    results = Results(0, lambda tries: 1.0)
    told(results, *range(1, MAX_REMEMBERED + 101))
    results.acknowledge_until(40)
    assert results.place == 40
    results.acknowledge_until(MAX_REMEMBERED + 100)
    assert (results.place, results.waiting) == (MAX_REMEMBERED + 100, 0)


def test_memory_has_a_bound_for_a_client_that_never_acknowledges() -> None:
    """A month of results, each sent ten times: what is kept is in proportion to what is remembered."""
    results, now = Results(0, lambda tries: 1.0), 0.0
    for seq in range(1, 20_001):
        told(results, seq, now=now)
        now += 0.1
        while (due := results.due(now)) is not None:
            results.sent(due, now)
    assert results.waiting == MAX_REMEMBERED
    assert len(results._answers) <= MAX_REMEMBERED + MAX_FORGOTTEN
    assert len(results._forgotten) <= MAX_FORGOTTEN
    assert len(results._due) <= MAX_REMEMBERED


def test_memory_has_a_bound_for_clients_that_answer_in_any_way() -> None:
    """Whether by callback, by `ack` or by the name of the job, also of repeated results: nothing of old ones is kept."""
    results = Results(0, lambda tries: 0.0)
    for seq in range(1, 5001):
        told(results, seq)
        again = results.due(0.0)
        assert again is not None
        results.sent(again, 0.0)
        (results.acknowledge, results.acknowledge_until, results.acknowledge_job)[seq % 3](seq)
    assert results.waiting == 0
    assert len(results._answers) <= MAX_ANSWERS
    assert len(results._repeated) <= MAX_ANSWERS


def test_a_slow_client_may_acknowledge_what_is_not_sent_again() -> None:
    """One by one, by callback or by the name of the job: its place then is behind all of them."""
    results, last = Results(0), MAX_REMEMBERED + 500
    told(results, *range(1, last + 1))
    for seq in range(1, last + 1, 2):
        results.acknowledge(seq)
        results.acknowledge_job(seq + 1)
    assert (results.place, results.waiting) == (last, 0)
    assert not results._answers and not results._forgotten


def test_of_a_client_without_a_name_nothing_is_kept_that_is_not_sent_again() -> None:
    """Its place is of no use to anybody."""
    results = Results(0, named=False)
    told(results, *range(1, MAX_REMEMBERED + 500))
    assert (results.waiting, len(results._forgotten), len(results._answers)) == (MAX_REMEMBERED, 0, MAX_REMEMBERED)


def test_beyond_a_bound_only_ack_moves_the_place() -> None:
    """Of the oldest not even the numbers are kept: the place stays below them, until the client says that it has all."""
    results, last = Results(0), MAX_REMEMBERED + MAX_FORGOTTEN + 10
    told(results, *range(1, last + 1))
    for seq in range(1, last + 1):
        results.acknowledge(seq)
    assert results.place == 0
    results.acknowledge_until(10)
    assert results.place == last
