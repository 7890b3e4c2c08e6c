/* Makes presses of our links and calls once for a double click. The page stays, and with it what was typed; the panel
   shows the call. Without this script the links lead to the page that asks. */
"use strict";
(() => {
  if (window.exotelPresses) {
    return; // pages that swap their body run their scripts again
  }
  window.exotelPresses = true;
  const WAIT = 10000; // milliseconds; a browser does not say when the sending of a form was stopped
  const PATIENCE = 60000; // milliseconds for the answer to a press; the server needs at most 55 seconds
  const OWN_FORMS = ".exotel-choose-form, .exotel-confirm, .exotel-note-box";
  const EDITS = ["beforeinput", "input", "change", "paste", "cut", "drop"];

  const written = (form) => [...new FormData(form)].map(
    ([name, value]) => [name, value instanceof File ? value.name : value],
  ).filter(([name]) => !["exotel_seen", "exotel:shown"].includes(name));
  const asText = (values) => JSON.stringify(values.map((pair) => JSON.stringify(pair)).sort());

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

  const post = (url, button, values = {}) => fetch(url, {
    method: "POST", credentials: "same-origin", redirect: "manual",
    // The page's language, which is not the browser's where it stands in the address.
    headers: {
      Accept: "application/json", "Accept-Language": document.querySelector("[data-exotel-panel], [data-exotel-phone]").lang,
    },
    body: new URLSearchParams({ csrfmiddlewaretoken: tokenOf(button), ...values }),
    keepalive: true, signal: AbortSignal.timeout(PATIENCE),
  });

  /* Asks the server to call; the page stays. Who asks twice means the same call. */
  const place = async (button) => {
    try {
      const response = await post(button.dataset.exotelPlace, button);
      const choose = { level: "error", choose_url: button.dataset.exotelChoose };
      if (response.type === "opaqueredirect") {
        return { ...choose, problem: "exotelNotLoggedIn" };
      }
      if (response.status === 403 || response.status === 404) {
        return { ...choose, problem: "exotelOldPage" };
      }
      const answer = response.ok ? await response.json() : null;
      return answer?.status || answer?.text ? answer : { problem: "exotelUnknown" };
    } catch {
      return { problem: "exotelUnknown" };
    }
  };

  const tell = (name, detail) => document.dispatchEvent(new CustomEvent(`exotel:${name}`, { detail }));

  /* The page now shows this call, so the next press about the ticket means another one. */
  const remember = (named, after) => {
    const ticket = named.get("exotel_ticket");
    document.querySelectorAll("button.exotel-call[data-exotel-place]").forEach((one) => {
      const address = new URL(one.dataset.exotelPlace, location);
      if (["exotel_type", "exotel_ticket"].every((name) => address.searchParams.get(name) === named.get(name))) {
        address.searchParams.set("exotel_after", after);
        one.dataset.exotelPlace = address.pathname + address.search;
      }
    });
    const seen = document.querySelector("[name=exotel_seen]");
    if (seen) {
      seen.value = JSON.stringify({ ...JSON.parse(seen.value), [ticket]: after });
    }
  };

  /* Not a submit button: Enter in a field of the host's form would press it. */
  const buttonOf = (link) => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = link.className;
    button.append(...link.cloneNode(true).childNodes);
    if (link.hasAttribute("aria-label")) {
      button.setAttribute("aria-label", link.getAttribute("aria-label"));
    }
    Object.assign(button.dataset, link.dataset, { exotelChoose: link.href });
    return button;
  };

  /* Forms of the host as they were when the page showed them. A page may swap any part of itself at any time. */
  const baselines = new Map();
  let unsavedFromTheStart = false;
  /* Fields and editors in which the user has worked: an editor may give its text to its form at the submit, and a form
     that a script sends may be no post. Nobody knows whether that script has saved it, so they stay here. */
  const edited = new Set();
  const formOf = (place) => place.form || place.closest("form");
  const settle = (form, names = null) => edited.forEach((place) => {
    if (formOf(place) === form && (!names || names.includes(place.name))) {
      edited.delete(place);
    }
  });
  const unsaved = () => unsavedFromTheStart || [...edited].some((place) => place.isConnected)
    || [...baselines].some(([form, before]) => form.isConnected && asText(written(form)) !== asText(before));

  /* Editors may keep an event to themselves, so several tell of an edit. An editor in a frame has a document of its own. */
  const watch = (root, frame = null) => EDITS.forEach((name) => root.addEventListener(name, (event) => {
    const field = event.composedPath()[0];
    if (event.isTrusted && (frame || field.isContentEditable || field.matches?.("input, textarea, select"))) {
      const place = frame || event.target;
      if (!formOf(place)?.matches(OWN_FORMS)) {
        edited.add(place);
      }
    }
  }, true));
  const frames = new WeakSet(); // their documents
  const watchFrame = () => {
    const inner = document.activeElement?.contentDocument; // null for one of another site
    if (inner && !frames.has(inner)) {
      frames.add(inner);
      watch(inner, document.activeElement);
    }
  };
  watch(document);
  window.addEventListener("blur", watchFrame); // the focus goes into a frame

  /* Not disabled, because a disabled button loses the focus. Returns what undoes it. */
  const hold = (button) => {
    const label = button.querySelector(".exotel-label") ?? button; // an icon stays
    const text = label.textContent;
    button.setAttribute("aria-disabled", "true");
    label.textContent = button.dataset.exotelWaiting || text;
    return () => {
      button.style.minWidth = `${button.offsetWidth}px`; // what stands beside it would move
      button.removeAttribute("aria-disabled");
      label.textContent = text;
    };
  };
  // The forms of the page that asks are sent by the browser, and it may be stopped.
  let release = () => {};
  const holdForm = (button) => {
    const undo = hold(button);
    const timer = setTimeout(() => release(), WAIT);
    release = () => {
      clearTimeout(timer);
      undo();
      release = () => {};
    };
  };
  const isHeld = () => document.querySelector(".exotel-call[aria-disabled=true]") !== null;

  const press = async (button) => {
    const undo = hold(button);
    tell("press", button.textContent.trim());
    const answer = await place(button);
    undo();
    tell("answer", answer);
    if (answer.after) {
      remember(new URL(button.dataset.exotelPlace, location).searchParams, answer.after);
    }
    if (answer.ask_url && !unsaved()) {
      location.assign(answer.ask_url);
    }
  };

  /* Turns a phone of the agent's own on. The page stays, and the line says what came of it. */
  const askToTurnOn = async (button, texts) => {
    try {
      const response = await post(button.dataset.exotelChoose, button, { exotel_device: button.dataset.exotelDevice, exotel_on: "1" });
      if (response.type === "opaqueredirect") {
        return { advice: texts.exotelLoggedOut };
      }
      return response.status === 403 || response.status === 404 ? { advice: texts.exotelOldPage } : await response.json();
    } catch {
      return { advice: texts.exotelUnknown };
    }
  };
  const turnOn = async (button) => {
    const line = button.closest("[data-exotel-phone]");
    const undo = hold(button);
    const answer = await askToTurnOn(button, line.dataset);
    undo();
    line.querySelector("[role=status]").textContent = answer.text || answer.advice || line.dataset.exotelUnknown;
    if (answer.text) {
      const isFocused = document.activeElement === button;
      line.style.minHeight = `${line.offsetHeight}px`; // what stands below would move
      line.querySelector(".exotel-switches").replaceChildren();
      line.classList.remove("exotel-is-off");
      if (isFocused) {
        line.querySelector("a").focus();
      }
    }
  };

  /* A press was refused because of the phone, so what the page says of it is old. */
  const renewPhone = (html) => {
    const fresh = new DOMParser().parseFromString(html, "text/html").querySelector("[data-exotel-phone]");
    document.querySelectorAll("[data-exotel-phone]").forEach((line) => {
      const [text, switches] = ["[role=status]", ".exotel-switches"].map((one) => fresh.querySelector(one));
      line.className = fresh.className;
      line.querySelector("[role=status]").textContent = text.textContent;
      line.querySelector(".exotel-switches").replaceChildren(...switches.cloneNode(true).childNodes);
    });
  };

  const find = () => {
    document.querySelectorAll(`form[method=post]:not(${OWN_FORMS})`).forEach((form) => {
      if (!baselines.has(form)) {
        baselines.set(form, written(form));
      }
    });
    baselines.forEach((_before, form) => form.isConnected || baselines.delete(form));
    document.querySelectorAll("a.exotel-switch").forEach((link) => tokenOf(link) && link.replaceWith(buttonOf(link)));
    document.querySelectorAll("a.exotel-call[data-exotel-place]").forEach((link) => {
      if (tokenOf(link) && document.querySelector("[data-exotel-panel][data-exotel-ready]")) {
        link.replaceWith(buttonOf(link));
      }
    });
  };

  const ready = () => {
    find();
    unsavedFromTheStart = document.querySelector("[data-exotel-unsaved]") !== null || [...baselines.keys()].some(restored);
    new MutationObserver(find).observe(document, { childList: true, subtree: true });
    document.addEventListener("exotel:panel", find);
    document.addEventListener("exotel:answer", ({ detail }) => detail.phone && renewPhone(detail.phone));
    document.addEventListener("exotel:found", ({ detail: { ticket, after } }) => after && remember(new URLSearchParams(ticket), after));
    // These fields of the form show what is stored.
    document.addEventListener("exotel:stored", ({ detail: { form, names } }) => {
      settle(form, names);
      if (baselines.has(form)) {
        const others = baselines.get(form).filter(([name]) => !names.includes(name));
        baselines.set(form, [...others, ...written(form).filter(([name]) => names.includes(name))]);
      }
    });
    document.addEventListener("click", (event) => {
      const pressed = event.target.closest?.("button.exotel-call[data-exotel-place]");
      if (pressed && !isHeld() && !event.defaultPrevented) {
        press(pressed);
      }
      const turned = event.target.closest?.("button.exotel-switch:not([aria-disabled=true])");
      if (turned && !event.defaultPrevented) {
        turnOn(turned);
      }
      const link = event.target.closest?.("a.exotel-choose-link");
      if (link) {
        link.target = unsaved() ? "_blank" : "_self";
      }
    });
    document.addEventListener("reset", (event) => settle(event.target));
    // On the page that asks, and on that which confirms, the buttons stand in forms of ours.
    document.addEventListener("submit", (event) => {
      if (!event.defaultPrevented) {
        settle(event.target); // sent to another frame or tab, if this page stays
      }
      const button = event.submitter;
      if (!button || !button.matches("button.exotel-call") || event.defaultPrevented) {
        return;
      }
      if (isHeld()) {
        event.preventDefault();
      } else {
        holdForm(button);
      }
    });
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
  if (document.readyState === "complete") {
    ready();
  } else {
    window.addEventListener("load", ready);
  }
})();
