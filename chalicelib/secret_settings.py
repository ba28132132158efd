"""Secret settings: given to the function as they are, or kept in SSM Parameter Store and read by name.

The name stands in the environment and in Terraform's state, the secret in neither. A rotated secret is seen
within five minutes.
"""

import time
from functools import lru_cache

from chalicelib import aws, config

_KEPT_S = 300


def secret(name: str) -> str:
    """A secret setting; empty if the deployment gives none.

    Raises botocore's ClientError where the parameter cannot be read.
    """
    if given := config.setting(name):
        return given
    parameter = config.setting(f"{name}_PARAMETER")
    return _read(parameter, int(time.time() // _KEPT_S)) if parameter else ""


def is_set(name: str) -> bool:
    """Whether the deployment gives this secret, in either way."""
    return bool(config.setting(name) or config.setting(f"{name}_PARAMETER"))


@lru_cache(maxsize=16)
def _read(parameter: str, _period: int) -> str:
    return str(aws.client("ssm").get_parameter(Name=parameter, WithDecryption=True)["Parameter"]["Value"])
