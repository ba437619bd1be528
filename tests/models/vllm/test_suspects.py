from models.vllm.suspects import FORGET_AFTER_S, InFlight, Suspects

POISON, BYSTANDER, NEWCOMER = b"poison", b"bystander", b"newcomer"


def unread(*keys: bytes) -> list[InFlight]:
    return [InFlight(key, is_read=False) for key in keys]


def read(*keys: bytes) -> list[InFlight]:
    return [InFlight(key, is_read=True) for key in keys]


def deadly(suspects: Suspects) -> set[bytes]:
    return {key for key in (POISON, BYSTANDER, NEWCOMER) if suspects.is_deadly(key)}


def test_one_death_condemns_nobody() -> None:
    suspects = Suspects()
    suspects.blame(unread(POISON))
    assert not deadly(suspects)


def test_who_is_there_alone_at_two_deaths_is_deadly() -> None:
    suspects = Suspects()
    for _ in range(2):
        suspects.blame(unread(POISON))
    assert deadly(suspects) == {POISON}


def test_those_whose_prompt_was_read_are_not_suspected_while_another_was_being_read() -> None:
    suspects = Suspects()
    for _ in range(2):
        suspects.blame([*read(BYSTANDER), *unread(POISON)])
    assert deadly(suspects) == {POISON}
    assert suspects.num_deaths(BYSTANDER) == 0


def test_two_that_were_there_at_two_deaths_are_not_told_apart() -> None:
    suspects = Suspects()
    for _ in range(2):
        suspects.blame(unread(POISON, BYSTANDER))
    assert not deadly(suspects)


def test_a_suspect_waits_while_the_prompt_of_another_is_read() -> None:
    suspects = Suspects()
    suspects.blame(unread(POISON, BYSTANDER))
    assert not suspects.may_run(BYSTANDER, unread(POISON))
    assert suspects.may_run(BYSTANDER, read(POISON))
    assert suspects.may_run(BYSTANDER, unread(NEWCOMER, BYSTANDER))
    assert suspects.may_run(NEWCOMER, unread(POISON))


def test_a_suspect_is_blamed_before_those_that_were_not_there_the_first_time() -> None:
    suspects = Suspects()
    suspects.blame(unread(POISON, BYSTANDER))
    suspects.blame(unread(POISON, NEWCOMER))
    assert deadly(suspects) == {POISON}
    assert suspects.num_deaths(NEWCOMER) == 0


def test_what_kills_while_it_is_generated_runs_alone_in_the_end() -> None:
    suspects = Suspects()
    for _ in range(2):
        suspects.blame(read(POISON, BYSTANDER))
    assert not deadly(suspects)
    assert not suspects.may_run(BYSTANDER, read(POISON))
    suspects.blame([*read(POISON), *unread(NEWCOMER)])
    assert deadly(suspects) == {POISON}


def test_an_idle_engine_that_dies_makes_no_suspects() -> None:
    suspects = Suspects()
    suspects.blame([])
    assert not suspects


def test_deaths_are_forgotten_after_an_hour() -> None:
    now = 0.0
    suspects = Suspects(lambda: now)
    for _ in range(2):
        suspects.blame(unread(POISON))
    now = FORGET_AFTER_S
    suspects.blame(unread(BYSTANDER))
    assert not deadly(suspects)
    assert suspects.num_deaths(POISON) == 0
