// The form of a timer shows the fields of the chosen kind of schedule, and hides those of the others.
"use strict";
document.addEventListener("DOMContentLoaded", () => {
  const kind = document.getElementById("id_schedule_kind");
  if (!kind) return;
  const fieldsOfKind = JSON.parse(kind.dataset.fields);
  const all = new Set(Object.values(fieldsOfKind).flat());

  function show() {
    for (const field of all) {
      const row = document.querySelector(`.form-row.field-${field}`);
      const isOfKind = fieldsOfKind[kind.value].includes(field);
      // A mistake stays in sight, whatever is chosen now.
      if (row) row.classList.toggle("timers-hidden", !isOfKind && !row.classList.contains("errors"));
    }
  }

  kind.addEventListener("change", show);
  show();
});
