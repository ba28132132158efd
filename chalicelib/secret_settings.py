"""Secret settings: set directly on the function, or stored in SSM Parameter Store and read by name.

With Parameter Store, only the name is in the environment and in Terraform's state. A rotated secret takes
effect within five minutes.
"""

import time
from functools import lru_cache

from chalicelib import aws, config

_KEPT_S = 300


def secret(name: str) -> str:
    """Returns a secret setting. Empty if the deployment sets none.

    Raises botocore's ClientError if the parameter cannot be read.
    """
    if given := config.setting(name):
        return given
    parameter = config.setting(f"{name}_PARAMETER")
    return _read(parameter, int(time.time() // _KEPT_S)) if parameter else ""


def is_set(name: str) -> bool:
    """Returns whether the deployment sets this secret, directly or by parameter."""
    return bool(config.setting(name) or config.setting(f"{name}_PARAMETER"))


@lru_cache(maxsize=16)
def _read(parameter: str, _period: int) -> str:
    return str(aws.client("ssm").get_parameter(Name=parameter, WithDecryption=True)["Parameter"]["Value"])
