"""The product on one machine.

An emulated cloud (ministack), the same stack deployed to it, and a front door before it.

`python -m infra.local up | down | run`, usually by make. Reading order: `paths` (directory and ports),
`cloud` (the emulator as a process), `template` and `deploy` (the stack), `front_door`, `run` (all steps).
"""
