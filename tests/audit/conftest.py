from __future__ import annotations

import pytest

from tests.audit.support import Files, written


@pytest.fixture(scope="session")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return written(tmp_path_factory.mktemp("audit"))
