"""The demo: the service at work on the examples of the systems it follows. An app of its own, off the public API only.

    vendors.csv       a company's list of vendors
    orders.jsonl      orders of a shop
    timer_handlers    what its timers do
    order_chain       the chain that orders walk through
    order_handlers    what its steps do
    scenery           the groups, timers and chain, made and cleared away by `manage.py timerdemo`

Take "timerproject.demo" out of INSTALLED_APPS, and its handlers and its command are gone.
"""
