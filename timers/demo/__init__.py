"""The demo: the service at work on the examples of the systems it follows. An app of its own, off the public API only.

    vendors.csv       a company's list of vendors
    timer_handlers    what its timers do
    scenery           the groups and timers, made and cleared away by `manage.py timerdemo`

Take "timers.demo" out of INSTALLED_APPS, and its handlers and its command are gone.
"""
