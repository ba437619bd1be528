"""The table from exception to status."""

import models.errors
import search.errors
from server.http.errors import STATUS


def test_every_error_that_a_request_can_meet_has_a_status() -> None:
    raised = {
        error
        for module in (models.errors, search.errors)
        for error in vars(module).values()
        if isinstance(error, type) and issubclass(error, Exception)
    }
    assert raised == set(STATUS)
