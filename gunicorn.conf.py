"""How gunicorn serves the project when it is started in this folder: `gunicorn timerproject.wsgi`.

Words of the command line win over what is said here.
"""

# Reads a whole request before it takes a thread; gunicorn's own classes take one for whoever sends a single byte.
worker_class = "timerproject.web.worker.BufferingWorker"
threads = 8

# Seconds that an unused connection is kept; it holds no thread. Longer than clients and balancers keep theirs (60 is
# usual): who writes to one that was just closed does not know whether the request has arrived.
keepalive = 75

# Nobody asks it, and two servers of one user would want the same.
control_socket_disable = True

# For gunicorn's own worker classes, where one of them is chosen: the same bounds, and no header moves the paths.
limit_request_line = 8190
forwarder_headers = ""
