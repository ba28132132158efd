"""An emulated cloud with an admin (1) and two users (7, 8), all signed in."""

import pytest

from chalicelib.users.create import create_user
from chalicelib.users.models import Role
from tests.support.api import Api
from tests.support.cloud import emulated


@pytest.fixture
def api():
    with emulated():
        create_user(by="test", user_id=1, role=Role.ADMIN)
        create_user(by="test", user_id=7)
        create_user(by="test", user_id=8)
        api = Api()
        for user_id in ("1", "7", "8"):
            api.sign_in(user_id)
        yield api
