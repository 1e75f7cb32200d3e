"""Options of the whole suite."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--record-golden",
        action="store_true",
        help="write what wrong submissions show on the terminal to solutions/*/golden; review the diff",
    )
