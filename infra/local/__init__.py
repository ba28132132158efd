"""The product on one machine.

An emulated cloud (ministack), the same stack deployed to it, and a front door before it.

`python -m infra.local up | down | run | backup | restore | doctor`, usually by make. Reading order:
`paths` (directory and ports), `cloud` (the emulator as a process), `state_store` and `durable_state` (what it
keeps on disk), `template` and `deploy` (the stack), `front_door`, `run` (all steps).
"""
