"""The demo: the service with the examples of the systems it follows. A separate app that uses only the public API.

    vendors.csv       a company's list of vendors
    orders.jsonl      orders of a shop
    timer_handlers    handlers of its timers
    order_chain       the chain that orders go through
    order_handlers    handlers of its steps
    scenery           the groups, timers and chain, created and deleted by `manage.py timerdemo`

Remove "timerproject.demo" from INSTALLED_APPS to remove its handlers and its command.
"""
