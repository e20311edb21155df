// Swagger UI brings dark colours and leaves to the page when they are worn: whenever the reader's system asks for them.
"use strict";
(() => {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const wear = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
  dark.addEventListener("change", wear);
  wear();
})();
