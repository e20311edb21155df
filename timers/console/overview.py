"""The overview page: cluster health, next fires and latest executions. One page, refreshed in place."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from django.views.decorators.vary import vary_on_headers
from django_htmx.http import HttpResponseClientRefresh

from timers import clock
from timers.console.admin_links import shows_admin
from timers.console.sparkline import chart
from timers.insights import cluster, counts, executions, health, rates, timers
from timers.insights.concern import Concern
from timers.insights.doctor.nodes import unknown_handlers
from timers.security.authentication import caller_of_user

_PAGES = "timers/console"
NEXT_FIRES = 10
LATEST_ATTEMPTS = 20


@require_safe
@never_cache
@vary_on_headers("HX-Request")
# The view checks the login itself: a fragment request must not be answered with the login page.
@login_not_required
def overview(request: HttpRequest) -> HttpResponse:
    """Render the whole page, or only its live region for an htmx request."""
    is_fragment = request.headers.get("HX-Request") == "true"
    if not request.user.is_authenticated:
        return HttpResponseClientRefresh() if is_fragment else redirect_to_login(request.get_full_path())
    context = {"is_fragment": is_fragment, "shows_admin": shows_admin(request)}
    if not caller_of_user(request.user).may("read"):
        # The API answers 403 here. A fragment request instead reloads the page, which names whom to contact.
        if is_fragment:
            return HttpResponseClientRefresh()
        return render(request, f"{_PAGES}/no_access.html", context, status=403)
    template = "_live.html" if is_fragment else "page.html"
    return render(request, f"{_PAGES}/overview/{template}", {**context, **answers()})


def answers() -> dict[str, Any]:
    """Return all values of the page, as of one instant of the database clock."""
    now = clock.now()
    nodes = cluster.cluster(now)
    hour = rates.rates(now)
    waits = counts.waiting()
    overdue = counts.overdue(now)
    return {
        "now": now,
        "cluster": nodes,
        "concerns": [
            *health.concerns(nodes),
            *(Concern("trouble", found.what) for found in unknown_handlers(now)),
        ],
        "sentence": health.sentence(nodes, hour, waits, overdue, now),
        "rates": hour,
        "chart": chart(hour.minutes),
        "waits": waits,
        "overdue": overdue,
        "next_fires": [] if nodes.pause is not None else timers.soonest(NEXT_FIRES),
        "latest": executions.latest(LATEST_ATTEMPTS, until=now),
    }
