"""Another app of the project uses the namespace of the timers for pages of its own."""

from django.urls import include, path

from shop.urls import enter
from shop.urls import urlpatterns as others

urlpatterns = [path("stopwatch/", include(([path("", enter, name="overview")], "timers"))), *others]
