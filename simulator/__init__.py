"""The exchange simulator: Binance, Bybit and OKX, spot and futures, over HTTP on one port.

`python -m simulator --port 18400`; each call says in `X-Original-Host` which exchange it is for. Tests steer
it over `/_sim/...` (control.py), most easily through client.Simulator. It checks what the exchanges check:
signatures and their age, filters, client order ids, limits; and it can fail as they do, before or after the
effect (faults.py).

    engine.py       accounts, orders, matching, positions: what the exchanges have in common
    instruments.py  what is traded, with each exchange's rules
    binance.py bybit.py okx.py   each exchange's words: routes, signatures, codes, formats
    limits.py faults.py control.py server.py client.py
"""
