/* Makes presses of our links, calls once for a double click, and keeps unsaved edits: the result then opens in another
   tab. Without this script the links lead to the page that asks. */
"use strict";
(() => {
  const WAIT = 10000; // milliseconds; a browser does not say when a press was stopped, or answered in another tab

  const written = (forms) => JSON.stringify(forms.map((form) => [...new FormData(form)].map(
    ([name, value]) => [name, value instanceof File ? value.name : value],
  )));

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

  /* The page's only token may stand in the host's form. */
  const tokenOf = (link) => link.dataset.exotelCsrf || document.querySelector("[name=csrfmiddlewaretoken]")?.value;

  /* Posts in a form of our own, outside every form of the host: themes put links and buttons inside the ticket's. */
  const post = (button, target) => {
    const form = document.createElement("form");
    form.method = "post";
    form.action = button.dataset.exotelPlace;
    form.target = target;
    form.hidden = true;
    const token = document.createElement("input");
    token.name = "csrfmiddlewaretoken";
    token.value = tokenOf(button);
    form.append(token);
    document.body.append(form);
    form.submit();
  };

  /* Not a submit button: Enter in a field of the host's form would press it. */
  const buttonOf = (link) => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = link.className;
    button.textContent = link.textContent;
    if (link.hasAttribute("aria-label")) {
      button.setAttribute("aria-label", link.getAttribute("aria-label"));
    }
    Object.assign(button.dataset, link.dataset);
    return button;
  };

  const ready = () => {
    const forms = [...document.querySelectorAll("form[method=post]:not(.exotel-choose-form, .exotel-confirm)")];
    const before = written(forms);
    const unsavedFromTheStart = document.querySelector("[data-exotel-unsaved]") !== null || forms.some(restored);
    const unsaved = () => unsavedFromTheStart || written(forms) !== before;

    // Pressed again, a button means the same call for the server; but nobody shall wonder.
    let release = () => {};
    const hold = (button) => {
      const label = button.textContent;
      const timer = setTimeout(() => release(), WAIT);
      button.disabled = true;
      button.textContent = button.dataset.exotelWaiting || label;
      release = () => {
        clearTimeout(timer);
        button.disabled = false;
        button.textContent = label;
        release = () => {};
      };
    };
    const isHeld = () => document.querySelector(".exotel-call:disabled") !== null;

    const press = (event) => {
      const button = event.currentTarget;
      if (isHeld() || event.defaultPrevented) {
        return;
      }
      hold(button);
      post(button, button.hasAttribute("data-exotel-edits") && unsaved() ? "_blank" : "_self");
    };

    document.querySelectorAll("a.exotel-call[data-exotel-place]").forEach((link) => {
      if (tokenOf(link)) {
        const button = buttonOf(link);
        button.addEventListener("click", press);
        link.replaceWith(button);
      }
    });
    // On the page that asks, and on that which confirms, the buttons stand in forms of ours.
    document.addEventListener("submit", (event) => {
      const button = event.submitter;
      if (!button || !button.matches("button.exotel-call") || event.defaultPrevented) {
        return;
      }
      if (isHeld()) {
        event.preventDefault();
      } else {
        hold(button);
      }
    });
    document.querySelectorAll("a.exotel-choose-link").forEach((link) => link.addEventListener("click", () => {
      link.target = unsaved() ? "_blank" : "_self";
    }));
    // The browser may show this page again from its cache, after "back", or beside the tab of the result.
    window.addEventListener("pageshow", () => release());
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden) {
        release();
      }
    });
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape") {
        release();
      }
    });
  };
  window.addEventListener("load", ready);
})();
