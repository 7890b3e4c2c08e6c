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

  /* A press of a row, which is a link to the page that asks where there is no script: a form of its own, since a
     button in the host's list would be the one that Enter presses. */
  const post = (address, target) => {
    const form = document.createElement("form");
    form.method = "post";
    form.action = address;
    form.target = target;
    form.hidden = true;
    const token = document.createElement("input");
    token.name = "csrfmiddlewaretoken";
    token.value = document.querySelector("[name=csrfmiddlewaretoken]").value;
    form.append(token);
    document.body.append(form);
    form.submit();
  };

  const buttonOf = (link) => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = link.className;
    button.textContent = link.textContent;
    button.setAttribute("aria-label", link.getAttribute("aria-label"));
    Object.assign(button.dataset, link.dataset);
    return button;
  };

  const ready = () => {
    const form = document.querySelector("#changelist-form, #content-main form:not(.exotel-call-form)");
    const before = form ? written(form) : "";
    const unsavedFromTheStart = document.querySelector("[data-exotel-unsaved]") !== null
      || (form !== null && restored(form));
    const unsaved = () => unsavedFromTheStart || (form !== null && written(form) !== before);
    let pressed = false;
    // Another press of a page that stays (a new tab, Esc) is the same press for the server, but not at once.
    const press = () => {
      pressed = true;
      setTimeout(() => { pressed = false; }, 2000);
    };

    if (document.querySelector("[name=csrfmiddlewaretoken]")) {
      document.querySelectorAll("a.exotel-call[data-exotel-place]").forEach((link) => link.replaceWith(buttonOf(link)));
    }
    document.addEventListener("submit", (event) => {
      const button = event.submitter;
      if (!button || !button.matches(ours) || event.defaultPrevented) {
        return;
      }
      if (pressed) {
        event.preventDefault();
        return;
      }
      button.formTarget = button.matches(".exotel-call-form button") && unsaved() ? "_blank" : "_self";
      press();
    });
    document.addEventListener("click", (event) => {
      const row = event.target.closest("button[data-exotel-place]");
      if (row && !pressed && !event.defaultPrevented) {
        press();
        post(row.dataset.exotelPlace, row.hasAttribute("data-exotel-edits") && unsaved() ? "_blank" : "_self");
      }
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
