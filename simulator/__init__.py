"""The exchange simulator: Binance, Bybit and OKX, spot and futures, over HTTP on one port.

`python -m simulator --port 18400`. Each call names its exchange in `X-Original-Host`. Tests control it over
`/_sim/...` (control.py), most easily with client.Simulator. The simulator checks what the exchanges check:
signatures and their age, filters, client order ids, limits. It can fail like them, before or after the effect
(faults.py).

    engine.py       accounts, orders, matching, positions: the common part of all exchanges
    instruments.py  the instruments, with each exchange's rules
    binance.py bybit.py okx.py   one exchange each: routes, signatures, codes, formats
    limits.py faults.py control.py server.py client.py
"""
