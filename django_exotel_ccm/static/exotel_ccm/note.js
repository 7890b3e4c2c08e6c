/* The box after a call: opens it below the panel, and saves it without leaving the page. What was written stays until it
   is saved or put away, also when the page is left: this tab keeps it. Without this script the panel links to a page with the same box. */
"use strict";
(() => {
  if (window.exotelNotes) {
    return; // pages that swap their body run their scripts again
  }
  window.exotelNotes = true;
  const PATIENCE = 20000; // milliseconds for an answer
  const ANY_CALL = "00000000-0000-0000-0000-000000000000";
  const WITH_NOTE = ["accepted", "answered", "ended", "never_confirmed"];

  /* `place`, a panel or a box, has the language of the page, which is not the browser's where it stands in the address. */
  const ask = async (place, url, options = {}) => {
    try {
      return await fetch(url, {
        headers: { Accept: "application/json", "Accept-Language": place.lang },
        credentials: "same-origin", cache: "no-store", redirect: "manual",
        signal: AbortSignal.timeout(PATIENCE), ...options,
      });
    } catch {
      return null; // no connection, or no answer in time
    }
  };
  const read = async (response) => {
    try {
      return await response.json();
    } catch {
      return {};
    }
  };

  const send = (form) => ask(form, form.action, { method: "POST", body: new URLSearchParams(new FormData(form)) });

  /* Returns what is said once the note is saved; null if it is not, and then the form says why. */
  const save = async (form) => {
    let response = await send(form);
    if (response && response.status === 403) {
      // Who has logged in again in another tab needs a new token.
      const fresh = await ask(form, form.action);
      if (fresh && fresh.ok) {
        form.elements.csrfmiddlewaretoken.value = (await read(fresh)).csrf_token;
        response = await send(form);
      }
    }
    if (!response) {
      return [null, form.dataset.exotelLost];
    }
    if (response.type === "opaqueredirect") {
      return [null, form.dataset.exotelLoggedOut];
    }
    const answer = await read(response);
    return response.ok && answer.text ? [answer.text, ""] : [null, answer.advice || form.dataset.exotelRefused];
  };

  const typing = () => {
    const field = document.activeElement;
    return Boolean(field) && (field.isContentEditable || field.matches("input:not([type=checkbox], [type=radio]), textarea, select"));
  };

  /* Whether it holds something that nobody has saved. */
  const isWritten = (form) => form.elements.exotel_text.value.trim() !== ""
    || [...form.querySelectorAll("input[type=radio]")].some((choice) => choice.checked !== choice.defaultChecked);

  /* What was written and is not saved, in the storage of this tab alone, by the call's reference. */
  const DRAFT = "exotel-draft:";
  const keyOf = (form) => DRAFT + /[0-9a-f-]{36}/.exec(form.action)[0];
  const readDraft = (key) => {
    try {
      return JSON.parse(sessionStorage.getItem(key));
    } catch {
      return null; // a browser that keeps nothing
    }
  };
  const writeDraft = (key, draft) => {
    try {
      if (draft) {
        sessionStorage.setItem(key, JSON.stringify(draft));
      } else {
        sessionStorage.removeItem(key);
      }
    } catch {
      // The box still has it, and the browser asks before the page is left.
    }
  };
  const keepDraft = (form) => {
    const { csrfmiddlewaretoken, exotel_next, ...fields } = Object.fromEntries(new FormData(form));
    writeDraft(keyOf(form), isWritten(form) ? { author: form.dataset.exotelAuthor, fields } : null);
  };

  /* Nobody sees what somebody else wrote who was logged in before. */
  const dropDraftsOfOthers = (author) => {
    try {
      Object.keys(sessionStorage).filter((key) => key.startsWith(DRAFT) && readDraft(key)?.author !== author).forEach(
        (key) => writeDraft(key, null),
      );
    } catch {
      // a browser that keeps nothing
    }
  };

  /* With its key: a Save whose answer was lost is then the same one. */
  const putBack = (form) => {
    const draft = readDraft(keyOf(form));
    if (draft && !isWritten(form)) {
      [...form.elements].filter((field) => field.name in draft.fields).forEach((field) => {
        if (field.type === "radio") {
          field.checked = field.value === draft.fields[field.name];
        } else {
          field.value = draft.fields[field.name];
        }
      });
    }
  };

  /* After Save in a box that came with the page. */
  const leave = (form, said) => {
    const shown = Object.assign(document.createElement("p"), { className: "exotel-said", tabIndex: -1, textContent: said });
    shown.setAttribute("role", "status");
    const next = form.elements.exotel_next?.value;
    form.replaceWith(shown);
    shown.focus();
    if (next && next !== location.pathname + location.search) {
      location.assign(next);
    } else {
      renewNotes(form);
    }
  };

  /* The call's page lists its notes. Where they cannot be fetched they are there when it is loaded again. */
  const renewNotes = async (form) => {
    const find = (page) => page.querySelector("[data-exotel-inline='notes']");
    if (!find(document)) {
      return;
    }
    const response = await ask(form, location.href, {
      headers: { Accept: "text/html", "Accept-Language": form.lang, "X-Exotel-Check": "1" },
    });
    const fresh = response && response.ok ? find(new DOMParser().parseFromString(await response.text(), "text/html")) : null;
    if (fresh) {
      find(document).replaceWith(fresh);
    }
  };

  const owners = new WeakMap(); // the desk that has opened a box
  // Not on the boxes: a page can swap its body.
  document.addEventListener("submit", async (event) => {
    const form = event.target;
    if (!form.matches("form.exotel-note-box") || event.defaultPrevented) {
      return;
    }
    event.preventDefault();
    const button = form.querySelector(".exotel-save");
    if (button.getAttribute("aria-disabled") === "true") {
      return;
    }
    const [label, problem] = [button.textContent, form.querySelector(".exotel-problem")];
    button.setAttribute("aria-disabled", "true");
    button.textContent = form.dataset.exotelSaving;
    problem.textContent = "";
    const [said, wrong] = await save(form);
    button.removeAttribute("aria-disabled");
    button.textContent = label;
    if (said !== null) {
      writeDraft(keyOf(form), null);
    }
    if (said === null) {
      problem.textContent = wrong;
    } else if (owners.has(form)) {
      owners.get(form).finish(said);
    } else {
      leave(form, said);
    }
  });

  class Desk {
    constructor(panel) {
      this.panel = panel;
      this.place = Object.assign(document.createElement("div"), { className: "exotel-note-place" });
      this.about = Object.assign(document.createElement("p"), { className: "exotel-of-call", hidden: true });
      this.said = Object.assign(document.createElement("p"), { className: "exotel-said", tabIndex: -1 });
      this.said.setAttribute("role", "status");
      this.button = Object.assign(document.createElement("button"), { className: "exotel-note-open", type: "button", hidden: true });
      this.button.addEventListener("click", () => (this.isOpen() ? this.close() : this.open({ focus: true })));
      panel.append(this.button);
      panel.after(this.place);
      this.place.append(this.said, this.about);
    }

    isOpen() {
      return Boolean(this.form) && !this.form.hidden;
    }

    /* An unsaved note about an earlier call stays, and says which call it is about, until it is saved or put away. */
    follow(status) {
      this.latest = status;
      if (this.reference !== status.reference) {
        if (this.isOpen() && isWritten(this.form)) {
          this.about.hidden = false;
          return;
        }
        this.form?.remove();
        this.about.hidden = true;
        Object.assign(this, { form: null, reference: status.reference, isSaved: false, isFirst: true, wasOver: false });
        this.said.textContent = "";
      }
      this.about.textContent = status.headline;
      const { exotelNote, exotelNoteOpen } = this.panel.dataset;
      this.url = exotelNote.replace(ANY_CALL, status.reference);
      this.button.textContent = exotelNoteOpen;
      this.button.hidden = !WITH_NOTE.includes(status.step);
      if (status.is_over && !this.wasOver && !this.button.hidden) {
        this.wasOver = true;
        this.offer();
      }
      this.isFirst = false;
    }

    /* Opens by itself, unless somebody types: then the page must not move below their hands. */
    async offer() {
      const hasDraft = readDraft(DRAFT + this.reference) !== null;
      if (!this.isOpen() && !this.isSaved && !typing() && (hasDraft || !this.isPutAway())) {
        await this.open({ focus: false, onlyNew: this.isFirst && !hasDraft });
      }
    }

    isPutAway() {
      try {
        return sessionStorage.getItem("exotel-not-now") === this.reference;
      } catch {
        return false;
      }
    }

    async open({ focus, onlyNew = false }) {
      const reference = this.reference;
      if (!this.form) {
        const response = await ask(this.panel, this.url);
        const answer = response ? await read(response) : {};
        if (answer.code === "invalid") {
          writeDraft(DRAFT + reference, null); // the customer was erased: nothing can be written any more
        }
        if (!answer.html || this.form || reference !== this.reference || (onlyNew && answer.has_note) || (!focus && typing())) {
          if (focus && !answer.html) {
            this.said.textContent = answer.advice || this.panel.dataset.exotelLost;
          }
          return;
        }
        const holder = document.createElement("template");
        holder.innerHTML = answer.html;
        this.form = holder.content.querySelector("form");
        const notNow = Object.assign(document.createElement("button"), { type: "button", className: "exotel-not-now" });
        notNow.textContent = this.panel.dataset.exotelNotNow;
        notNow.addEventListener("click", () => this.putAway());
        this.form.querySelector(".exotel-note-buttons").append(notNow);
        owners.set(this.form, this);
        this.place.append(this.form);
      } else {
        keepDraft(this.form); // of one that was put away
      }
      if (focus) {
        this.said.textContent = "";
      }
      this.form.hidden = false;
      this.button.setAttribute("aria-expanded", "true");
      if (focus) {
        this.form.querySelector("input[type=radio], textarea").focus();
      }
    }

    close() {
      this.form.hidden = true;
      this.button.setAttribute("aria-expanded", "false");
      this.follow(this.latest);
    }

    putAway() {
      try {
        sessionStorage.setItem("exotel-not-now", this.reference);
      } catch {
        // a browser that keeps nothing
      }
      writeDraft(keyOf(this.form), null);
      this.close();
      this.button.focus();
    }

    finish(said) {
      const hadFocus = this.form.contains(document.activeElement);
      this.form.remove();
      Object.assign(this, { form: null, isSaved: true });
      this.button.setAttribute("aria-expanded", "false");
      this.follow(this.latest);
      this.said.textContent = said;
      document.dispatchEvent(new CustomEvent("exotel:note"));
      if (hadFocus) {
        this.said.focus();
      }
    }
  }

  const desks = new WeakMap();
  document.addEventListener("exotel:status", ({ detail: { panel, status } }) => {
    if (panel.dataset.exotelNote) {
      desks.set(panel, desks.get(panel) || new Desk(panel));
      desks.get(panel).follow(status);
    }
  });

  window.addEventListener("beforeunload", (event) => {
    if ([...document.querySelectorAll("form.exotel-note-box:not([hidden])")].some(isWritten)) {
      event.preventDefault(); // the browser asks
    }
  });

  // A date counts when it is chosen. Where the style cannot hide its field until then, filling it in chooses it.
  document.addEventListener("input", ({ target }) => {
    if (target.matches(".exotel-note-box .exotel-when")) {
      target.form.querySelector("[name=exotel_call_back][value=chosen]").checked = true;
    }
  });

  const known = new WeakSet(); // boxes, and what says who is logged in
  const find = () => {
    if (document.readyState === "loading") {
      return; // a box may have no fields yet
    }
    const found = [...document.querySelectorAll("[data-exotel-author]")].filter((element) => !known.has(element));
    found.forEach((element) => {
      known.add(element);
      dropDraftsOfOthers(element.dataset.exotelAuthor);
    });
    found.filter((element) => element.matches("form.exotel-note-box")).forEach(putBack);
  };
  find();
  document.addEventListener("DOMContentLoaded", find);
  new MutationObserver(find).observe(document, { childList: true, subtree: true });
  ["input", "change"].forEach((name) => document.addEventListener(name, ({ target }) => {
    const form = target.closest?.("form.exotel-note-box");
    if (form) {
      keepDraft(form);
    }
  }));
  document.addEventListener("click", ({ target }) => {
    const link = target.closest?.("form.exotel-note-box a.exotel-not-now");
    if (link) {
      writeDraft(keyOf(link.closest("form")), null);
    }
  });
})();
