"""How gunicorn serves the project when it is started in this folder: `gunicorn timerproject.wsgi`.

Words of the command line win over what is said here.
"""

worker_class = "gthread"
threads = 8

# Seconds that an unused connection is kept; it holds no thread. Longer than clients and balancers keep theirs (60 is
# usual): who writes to one that was just closed does not know whether the request has arrived.
keepalive = 75

# Nobody asks it, and two servers of one user would want the same.
control_socket_disable = True

# The most that gunicorn takes. A group and a timer may have names of 200 characters, twelve bytes each in an address.
limit_request_line = 8190
