"""Forms whose save calls control: errors raised by control are shown on their fields."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django import forms
from django.contrib import messages
from django.db.models import Model
from django.http import HttpRequest, HttpResponse

from timers.admin.bounded import BoundedAdmin
from timers.exceptions import InvalidRequest, TimersError
from timers.insights.words import in_flight_words

if TYPE_CHECKING:  # generic for the type checker only
    AnyModelForm = forms.ModelForm[Any]
else:
    AnyModelForm = forms.ModelForm


class ControlForm(AnyModelForm):
    """A form that only parses its fields; control validates them."""

    refused: ClassVar[TimersError | None] = None
    also_called: ClassVar[dict[str, str]] = {}
    """Names that control uses for fields of this form."""

    def _post_clean(self) -> None:
        """Add the errors of a refusal to their fields. The instance is not changed, because control writes the row."""
        if isinstance(self.refused, InvalidRequest):
            for problem in self.refused.problems:
                first = problem.field.split(".")[0]
                name = self.also_called.get(first, first)
                is_here = name in self.fields and not self.fields[name].widget.is_hidden
                told = problem.message if problem.field == name else f"{problem.field}: {problem.message}"
                self.add_error(name if is_here else None, told)
        elif self.refused is not None:
            self.add_error(None, str(self.refused))

    def changes(self) -> dict[str, Any]:
        """Return the changed fields with their values."""
        return {name: self.cleaned_data[name] for name in self.changed_data}


class ControlAdmin(BoundedAdmin):
    """An admin whose save_model calls control."""

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        """Render the form, again with the errors if control refused it.

        The refused attempt was rolled back as a whole.
        """
        try:
            return super().changeform_view(request, object_id, form_url, extra_context)
        except TimersError as refused:
            if request.method != "POST":
                raise
            request.META["timers.refused"] = refused
            response: HttpResponse = super().changeform_view(request, object_id, form_url, extra_context)
            return response

    def get_form(self, request: HttpRequest, obj: Model | None = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change, **kwargs)
        refused = request.META.get("timers.refused")
        return form if refused is None else type(form.__name__, (form,), {"refused": refused})

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: str | None = None) -> HttpResponse:
        self._name_in_flight(request, obj)
        return super().response_add(request, obj, post_url_continue)

    def response_change(self, request: HttpRequest, obj: Any) -> HttpResponse:
        self._name_in_flight(request, obj)
        return super().response_change(request, obj)

    def _name_in_flight(self, request: HttpRequest, obj: Any) -> None:
        """Name the executions that the change came too late for; they continue unchanged."""
        words = in_flight_words(getattr(obj, "in_flight", ()))
        if words:
            self.message_user(request, f"{words[0].upper()}{words[1:]}.", messages.WARNING)


def take_over(obj: Model, saved: Model) -> None:
    """Copy the row that control wrote to the admin's object, for the log and the messages that follow."""
    obj.__dict__.update(saved.__dict__)
