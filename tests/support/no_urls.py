"""A URLconf without the URLs of the app."""

urlpatterns: list[object] = []
