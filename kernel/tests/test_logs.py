"""The loggers of a block: what they write to the session's log, and nowhere else."""

from __future__ import annotations

import re

import pytest

from harness import Kernel

LINE = r"AthenaForApacheSpark: \d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} "


def test_both_loggers_write_lines_of_athenas_form_and_nothing_into_the_block(shared: Kernel) -> None:
    calculation = shared.run("athena_user_logger.info('said %d', 1)\nathena_shared_logger.warning('said 2')")
    assert (calculation.state, calculation.stdout, calculation.stderr) == ("COMPLETED", "", "")
    lines = shared.log_lines("said 1", "said 2")
    assert [line for line in lines if re.fullmatch(LINE + "INFO builtins: said 1", line)]
    assert [line for line in lines if re.fullmatch(LINE + "WARNING athena_shared_logger: said 2", line)]


def test_debug_is_not_logged_until_the_level_is_lowered(kernel: Kernel) -> None:
    kernel.run("athena_user_logger.debug('quiet')")
    kernel.run("%set_log_level DEBUG\nathena_user_logger.debug('loud')")
    kernel.run("%set_log_level ERROR\nathena_user_logger.warning('muffled'); athena_shared_logger.error('last')")
    text = "\n".join(kernel.log_lines("last"))
    assert "loud" in text
    assert "quiet" not in text
    assert "muffled" not in text


def test_no_handler_is_left_on_the_root_logger_and_others_are_as_they_were(shared: Kernel) -> None:
    code = "import logging\nathena_user_logger.error('x')\nprint(logging.getLogger().handlers, logging.getLogger('builtins') is athena_user_logger)"
    assert shared.run(code).stdout == "[] False\n"


def test_a_message_of_several_lines_is_one_record(shared: Kernel) -> None:
    shared.run(
        "athena_user_logger.error('one\\nAthenaForApacheSpark: 2022-01-01 12:00:00,000 INFO builtins: forged\\rover\\x1b[2J')\n"
        "athena_user_logger.info('end of lines')"
    )
    lines = shared.log_lines("end of lines")
    at = next(n for n, line in enumerate(lines) if line.endswith("ERROR builtins: one"))
    assert lines[at + 1] == "    AthenaForApacheSpark: 2022-01-01 12:00:00,000 INFO builtins: forged\\rover\\x1b[2J"


def test_a_huge_message_is_cut_and_says_so(shared: Kernel) -> None:
    shared.run("athena_user_logger.info('x' * 10_000_000)\nathena_user_logger.info('after huge')")
    lines = shared.log_lines("after huge")
    huge = next(line for line in lines if "xxxx" in line)
    assert len(huge) < 40_000
    assert huge.endswith("more characters are left out]")


def test_an_exception_is_logged_with_its_traceback(shared: Kernel) -> None:
    shared.run("try:\n    1 / 0\nexcept ZeroDivisionError:\n    athena_user_logger.exception('caught')")
    lines = shared.log_lines("    ZeroDivisionError: division by zero")
    assert any(line.endswith("ERROR builtins: caught") for line in lines)


def test_a_message_that_cannot_be_formatted_does_not_fail_the_block(shared: Kernel) -> None:
    calculation = shared.run(
        "class Bad:\n    def __str__(self): raise RuntimeError('no')\n"
        "athena_user_logger.info('%d', 'x')\nathena_user_logger.info(Bad())\nprint('on')"
    )
    assert (calculation.state, calculation.stdout, calculation.stderr) == ("COMPLETED", "on\n", "")
    shared.log_lines("cannot be formatted: TypeError", "cannot be formatted: RuntimeError")


@pytest.mark.parametrize(
    "code",
    [
        "import logging; logging.shutdown()",
        "import logging.config; logging.config.dictConfig({'version': 1, 'disable_existing_loggers': True})",
        "import logging; logging.disable(logging.CRITICAL)",
        "import sys; sys.stdout.close(); sys.stderr.close()",
    ],
)
def test_what_user_code_closes_and_configures_does_not_silence_them(kernel: Kernel, code: str) -> None:
    kernel.run(code)
    calculation = kernel.run("athena_user_logger.info('survived')")
    assert calculation.state == "COMPLETED"
    kernel.log_lines("survived")


def test_without_a_log_a_block_goes_on(kernel: Kernel) -> None:
    kernel.run("import os; os.closerange(3, 4096)")
    kernel.reconnect()
    calculation = kernel.run("athena_user_logger.info('nowhere')\nprint('on')")
    assert (calculation.state, calculation.stdout, calculation.stderr) == ("COMPLETED", "on\n", "")


def test_a_file_that_takes_the_logs_descriptor_is_not_written_to(kernel: Kernel) -> None:
    kernel.run(
        "import os; os.closerange(3, 4096)\n"
        "files = [open(f'f{n}', 'w') for n in range(200)]\nathena_user_logger.info('nowhere')"
    )
    kernel.reconnect()
    assert kernel.run("print(sum(os.path.getsize(f.name) for f in files))").stdout == "0\n"


def test_forked_children_log_to_the_same_place(shared: Kernel) -> None:
    calculation = shared.run(
        "import multiprocessing\nwith multiprocessing.get_context('fork').Pool(2) as pool:\n"
        "    pool.map(athena_user_logger.info, ['child one', 'child two'])"
    )
    assert calculation.state == "COMPLETED", calculation.stderr
    shared.log_lines("INFO builtins: child one\n", "INFO builtins: child two\n")


def test_names_of_the_user_are_left_alone_and_deleted_ones_come_back(kernel: Kernel) -> None:
    kernel.run("athena_user_logger = 'mine'\ndel athena_shared_logger")
    assert kernel.run("print(athena_user_logger, athena_shared_logger.name)").stdout == "mine athena_shared_logger\n"


def test_what_the_user_does_to_a_logger_is_the_users(kernel: Kernel) -> None:
    calculation = kernel.run(
        "import copy, logging, sys\nathena_user_logger.addHandler(logging.StreamHandler(sys.stdout))\n"
        "athena_user_logger.getChild('part').info('here, too')\nprint(copy.deepcopy(athena_user_logger) is athena_user_logger)"
    )
    assert calculation.stdout == "here, too\nTrue\n"
    kernel.log_lines("INFO builtins.part: here, too")


def test_an_interrupted_record_does_not_swallow_the_next(kernel: Kernel) -> None:
    kernel.run(
        "write = athena_user_logger.manager.root.handlers[0]._write_bytes\n"
        "def torn(data):\n    write(data[:20])\n    raise KeyboardInterrupt\n"
        "athena_user_logger.manager.root.handlers[0]._write_bytes = torn\nathena_user_logger.info('cut')"
    )
    kernel.run("athena_user_logger.manager.root.handlers[0]._write_bytes = write\nathena_user_logger.info('whole')")
    assert [line for line in kernel.log_lines("whole") if re.fullmatch(LINE + "INFO builtins: whole", line)]
