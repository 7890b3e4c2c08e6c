/* Calls in this tab when nothing on the page is unsaved; else the result opens in another, and the edits stay here. */
"use strict";
(() => {
  const ours = ".exotel-call-form button, button.exotel-call";

  const written = (form) => new URLSearchParams(
    [...new FormData(form)].map(([name, value]) => [name, value instanceof File ? value.name : value]),
  ).toString();

  /* Browsers bring back what was typed before a reload, without telling anybody. */
  const restored = (form) => [...form.elements].some((field) => {
    if (field.type === "checkbox" || field.type === "radio") {
      return field.checked !== field.defaultChecked;
    }
    if (field.type === "select-one") {
      const chosen = [...field.options].findIndex((option) => option.defaultSelected);
      return field.options.length > 0 && field.selectedIndex !== Math.max(chosen, 0);
    }
    return "defaultValue" in field && field.value !== field.defaultValue;
  });

  const ready = () => {
    const form = document.querySelector("#changelist-form, #content-main form:not(.exotel-call-form)");
    const before = form ? written(form) : "";
    const unsavedFromTheStart = document.querySelector("[data-exotel-unsaved]") !== null
      || (form !== null && restored(form));
    const unsaved = () => unsavedFromTheStart || (form !== null && written(form) !== before);
    let pressed = false;

    document.addEventListener("submit", (event) => {
      const button = event.submitter;
      if (!button || !button.matches(ours)) {
        return;
      }
      if (pressed) {
        event.preventDefault();
        return;
      }
      const endangers = button.matches(".exotel-call-form button") || button.hasAttribute("data-exotel-edits");
      const stays = endangers && unsaved();
      button.formTarget = stays ? "_blank" : "_self";
      pressed = true;
      if (stays) {
        // This page stays: another press of it is the same press for the server, but not at once.
        setTimeout(() => { pressed = false; }, 2000);
      }
    });
    document.addEventListener("click", (event) => {
      const link = event.target.closest("a.exotel-choose-link");
      if (link) {
        link.target = unsaved() ? "_blank" : "_self";
      }
    });
    // The browser may show this page again from its cache, after "back".
    window.addEventListener("pageshow", () => { pressed = false; });
  };
  window.addEventListener("load", ready);
})();
