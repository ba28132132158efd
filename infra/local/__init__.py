"""The product on one machine.

An emulated cloud (ministack), the same stack deployed to it, and a front door before it.

`python -m infra.local up | down | run`, usually by way of make. Read in this order: `place` (where everything
is), `cloud` (the emulator as a process), `template` and `deploy` (the stack onto it), `front_door`, `run`
(all of it in order).
"""
