/* Calls in this tab when nothing on the page is unsaved; else the result opens in another, and the edits stay here. */
"use strict";
(() => {
  const written = (form) => new URLSearchParams(
    [...new FormData(form)].map(([name, value]) => [name, value instanceof File ? value.name : value]),
  ).toString();

  const ready = () => {
    const form = document.querySelector("#content-main form:not(.exotel-call-form), #changelist-form");
    const before = form ? written(form) : "";
    const unsaved = () => form !== null && written(form) !== before;
    let pressed = false;

    document.addEventListener("submit", (event) => {
      const button = event.submitter;
      if (!button || !button.matches(".exotel-call-form button, button.exotel-call")) {
        return;
      }
      if (pressed) {
        event.preventDefault();
        return;
      }
      const stays = unsaved() && (button.matches(".exotel-call-form button") || button.hasAttribute("formtarget"));
      button.formTarget = stays ? "_blank" : "_self";
      pressed = !stays;
    });
    // The browser may show this page again from its cache, after "back".
    window.addEventListener("pageshow", () => { pressed = false; });
  };
  window.addEventListener("load", ready);
})();
