"""Some of the acceptance's fault tests in every run: the same tests, those that take a few seconds each."""

from tests.accept.test_faults_index import test_an_index_that_was_deleted_deletes_nothing_and_takes_nothing_old_for_new
from tests.accept.test_faults_root import test_an_emptied_root_is_filled_again_by_one_command
from tests.accept.test_faults_volume import test_a_volume_that_is_mounted_read_only_is_refused_in_one_line

__all__ = [
    "test_a_volume_that_is_mounted_read_only_is_refused_in_one_line",
    "test_an_emptied_root_is_filled_again_by_one_command",
    "test_an_index_that_was_deleted_deletes_nothing_and_takes_nothing_old_for_new",
]
