"""The project's own pages, and the timers under a prefix of its choice."""

from django.contrib import admin
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import include, path


def enter(request: HttpRequest) -> HttpResponse:
    """The project's own sign-in page."""
    return HttpResponse("the door of the shop")


def products(request: HttpRequest, rest: str = "") -> HttpResponse:
    """The project's own API; a query may hold what the API of the timers refuses."""
    return JsonResponse({"query": request.GET.get("q", "")})


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """The project's own 404 page."""
    return HttpResponse("nothing of this name in the shop", status=404)


handler404 = not_found
urlpatterns = [
    path("enter/", enter, name="enter"),
    path("api/products", products, name="products"),
    path("office/", admin.site.urls),
    path("ops/timers/", include("timers.urls")),
]
