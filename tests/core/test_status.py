"""Every status speaks for itself."""

from jensen.core.status import Status


def test_messages_are_different_sentences_and_only_two_mean_converged():
    assert len({status.message for status in Status}) == len(Status)
    assert {status for status in Status if status.is_converged} == {Status.CONVERGED, Status.ROUNDING_LIMIT}
