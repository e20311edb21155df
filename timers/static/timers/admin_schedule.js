// The form of a timer shows the field of the chosen kind of schedule, and hides those of the others.
"use strict";
document.addEventListener("DOMContentLoaded", () => {
  const kind = document.getElementById("id_schedule_kind");
  if (!kind) return;
  const fields = { once: "at", fixed_rate: "period", fixed_delay: "delay", cron: "expression" };

  function show() {
    for (const [name, field] of Object.entries(fields)) {
      const row = document.querySelector(`.form-row.field-${field}`);
      // A mistake stays in sight, whatever is chosen now.
      if (row) row.classList.toggle("timers-hidden", name !== kind.value && !row.classList.contains("errors"));
    }
  }

  kind.addEventListener("change", show);
  show();
});
