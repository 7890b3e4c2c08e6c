/* Follows a call: asks where it stands while the page is looked at, and shows it. A panel without a call looks for one
   when the page is looked at again. Without this script the panel shows what was known when the page was loaded. */
"use strict";
(() => {
  if (window.exotelPanels) {
    return; // pages that swap their body run their scripts again
  }
  const panels = window.exotelPanels = new Map(); // by their element
  const LONGEST_PAUSE = 10; // seconds between two questions while there is no connection
  const PATIENCE = 10; // seconds for an answer

  const clock = (seconds) => {
    const [hours, minutes, rest] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
    const tail = `${hours ? String(minutes).padStart(2, "0") : minutes}:${String(rest).padStart(2, "0")}`;
    return hours ? `${hours}:${tail}` : tail;
  };

  const ticketIn = (url) => {
    const given = new URL(url, location).searchParams;
    return String(new URLSearchParams(["exotel_type", "exotel_ticket"].map((name) => [name, given.get(name)])));
  };
  /* As a query; "" on a page with buttons of several tickets, or of none. */
  const ticketOfPage = () => {
    const found = new Set([...document.querySelectorAll("[data-exotel-place]")].map((one) => ticketIn(one.dataset.exotelPlace)));
    return found.size === 1 ? [...found][0] : "";
  };

  /* Other tabs look for the call at once. They are told nothing of it. */
  const announce = () => {
    try {
      localStorage.setItem("exotel-call", Date.now());
    } catch {
      // a browser that keeps nothing: they look when they are shown again
    }
  };

  class Panel {
    constructor(element) {
      this.element = element;
      this.seen = new Set(); // the references of the calls that it has shown
      this.texts = element.dataset;
      this.headline = element.querySelector(".exotel-headline");
      this.hint = element.querySelector(".exotel-hint");
      this.notice = element.querySelector(".exotel-notice");
      this.clock = element.querySelector(".exotel-clock");
      this.links = element.querySelector(".exotel-links");
      this.links.replaceChildren();
      element.dataset.exotelReady = ""; // the buttons need somebody who shows what came of them
      const told = element.querySelector("script[type='application/json']");
      if (told) {
        this.follow(element.dataset.exotelPanel, JSON.parse(told.textContent));
        announce();
      }
    }

    /* The page has taken the panel away. */
    end() {
      this.isStopped = true;
      this.plan(null);
    }

    /* Until it has something to show nobody sees it. It is there all the same: a screen reader says what is written
       into a place that it knows, and passes over one that has just appeared. */
    appear() {
      if (this.isEmpty()) {
        this.element.setAttribute("aria-label", this.texts.exotelEmpty);
        this.element.removeAttribute("data-exotel-empty");
      }
    }

    isEmpty() {
      return this.element.hasAttribute("data-exotel-empty");
    }

    follow(url, status) {
      Object.assign(this, { url, etag: "", failures: 0, isStopped: false, status: null });
      this.seen.add(status.reference);
      this.appear();
      this.show(status);
    }

    /* From the press until its answer, which can take three quarters of a minute. */
    wait(text) {
      this.earlier = this.status && !this.status.is_over && !this.isStopped ? { url: this.url, status: this.status } : null;
      this.tell("requested", text, "");
      this.since = Date.now();
      this.isWaiting = true;
      this.tick();
      this.reveal();
    }

    /* The button may stand far below the panel, or in a menu of the theme that lies on it. */
    reveal() {
      if (!this.isSeen()) {
        this.element.scrollIntoView({ block: "center" });
      }
      if (!this.isSeen()) {
        this.element.click(); // menus close at a click elsewhere
      }
    }

    isSeen() {
      const { left, top, bottom } = this.element.getBoundingClientRect();
      return [top + 4, bottom - 4].every((y) => this.element.contains(document.elementFromPoint(left + 8, y)));
    }

    /* What a press came to: a call to follow, or a text with a link. */
    take(answer) {
      this.isWaiting = false;
      const { status } = answer;
      const text = answer.text || this.texts[answer.problem];
      if (this.earlier && (!status || status.step === "refused")) {
        // The call before this press goes on, and nobody must miss its end.
        this.follow(this.earlier.url, this.earlier.status);
        this.say(status ? `${status.headline}. ${status.hint}` : text);
      } else if (status) {
        this.follow(answer.url, status);
        this.say(answer.notice);
        announce();
      } else {
        this.tell(answer.level === "error" ? "refused" : "unconfirmed", text, "");
      }
      // The question may be about one ticket of many on this page.
      this.ticket = answer.ask_url ? ticketIn(answer.ask_url) : "";
      // In this tab, unless it has unsaved edits: see call_customer.js.
      this.link(answer.correction_url, this.texts.exotelCorrect, "exotel-choose-link");
      this.link(answer.override_url, this.texts.exotelOverride, "exotel-choose-link");
      this.link(answer.ask_url, this.texts.exotelChoose);
      this.link(answer.choose_url, this.texts.exotelElsewhere);
    }

    tell(step, headline, hint) {
      this.stop(hint);
      this.status = null;
      this.appear();
      this.clear();
      this.paint({ step, headline, hint, outcome: "", talk_time: null });
    }

    link(url, text, className = "") {
      if (url) {
        const values = { href: url, textContent: text, target: "_blank", className };
        this.links.append(Object.assign(document.createElement("a"), values));
      }
    }

    say(text) {
      this.write(this.notice, text || "");
      this.keepHeight();
    }

    clear() {
      this.links.replaceChildren();
      this.say("");
    }

    paint(status) {
      this.element.dataset.exotelStep = status.step;
      this.element.dataset.exotelOutcome = status.outcome;
      this.element.toggleAttribute("data-exotel-talked", Boolean(status.talk_time));
      // Written only when it changes: a screen reader says each change once.
      this.write(this.headline, status.headline);
      this.write(this.hint, status.hint);
      this.keepHeight();
    }

    /* A shorter text later on must not move what stands below. */
    keepHeight() {
      this.element.style.minHeight = `${this.element.offsetHeight}px`;
    }

    show(status) {
      const isNew = !this.status || status.step !== this.status.step;
      this.status = status;
      this.paint(status);
      if (isNew) {
        this.clear();
        this.since = Date.now() - 1000 * status.seconds;
        document.dispatchEvent(new CustomEvent("exotel:step", { detail: status }));
      }
      this.tick();
      this.plan(status.poll_after);
      document.dispatchEvent(new CustomEvent("exotel:status", { detail: { panel: this.element, status } }));
    }

    write(place, text) {
      if (place.textContent !== text) {
        place.textContent = text;
      }
    }

    tick() {
      const isFollowed = this.status && !this.isStopped && !this.status.is_over && this.status.step !== "unconfirmed";
      this.clock.textContent = isFollowed || this.isWaiting ? clock(Math.max(0, Math.floor((Date.now() - this.since) / 1000))) : "";
    }

    /* A page that nobody looks at asks nothing, and asks at once when it is looked at again. */
    plan(seconds) {
      clearTimeout(this.timer);
      // An answer that is still on its way would overwrite a newer one.
      this.question?.abort();
      this.question = null;
      if (this.status && !this.isStopped && !this.status.is_over && seconds !== null && !document.hidden) {
        this.timer = setTimeout(() => this.ask(), 1000 * seconds);
      }
    }

    stop(hint) {
      clearTimeout(this.timer);
      this.question?.abort();
      this.question = null;
      this.isStopped = true;
      this.write(this.hint, hint);
      this.clock.textContent = "";
    }

    /* Returns the response and its JSON; null once another question or a press has taken its place. */
    async request(url, headers = {}) {
      const question = new AbortController();
      const timer = setTimeout(() => question.abort(), 1000 * PATIENCE);
      let [response, value] = [null, null];
      this.question = question;
      try {
        response = await fetch(url, {
          headers: { Accept: "application/json", "Accept-Language": this.element.lang, ...headers },
          cache: "no-store", credentials: "same-origin", redirect: "manual", signal: question.signal,
        });
        value = response.status === 200 ? await response.json() : null;
      } catch {
        response = null; // no connection, no answer in time, or no JSON
      }
      clearTimeout(timer);
      if (this.question !== question) {
        return null;
      }
      this.question = null;
      return { response, value };
    }

    async ask() {
      const answer = await this.request(this.url, this.etag ? { "If-None-Match": this.etag } : {});
      if (answer?.value) {
        this.failures = 0;
        this.etag = answer.response.headers.get("ETag") || "";
        this.show(answer.value);
      } else if (answer) {
        this.handle(answer.response);
      }
    }

    /* Somebody looks at the page again: they may have called in another tab meanwhile, or logged in. */
    wake() {
      if (document.hidden || this.isWaiting || this.question) {
        return;
      }
      if (!this.status || this.status.is_over) {
        this.find();
      } else if (this.isStopped) {
        this.isStopped = false;
        this.plan(0);
      }
    }

    /* Once: a call that this panel has shown already does not take the place of what it says now. */
    async find() {
      const ticket = this.ticket || ticketOfPage();
      const url = new URL(this.texts.exotelFind, location);
      new URLSearchParams(ticket).forEach((value, name) => url.searchParams.set(name, value));
      const found = (await this.request(url))?.value;
      if (found?.status && !this.seen.has(found.status.reference)) {
        this.follow(found.url, found.status);
        document.dispatchEvent(new CustomEvent("exotel:found", { detail: { ticket, after: found.after } }));
      }
    }

    handle(response) {
      if (response && response.status === 304) {
        this.failures = 0;
        this.write(this.hint, this.status.hint);
        this.plan(this.status.poll_after);
      } else if (response && (response.status === 401 || response.type === "opaqueredirect")) {
        this.stop(this.texts.exotelLoggedOut);
      } else if (response && response.status < 500 && response.status !== 429) {
        this.stop(this.texts.exotelGone);
        this.status = null;
      } else {
        this.failures += 1;
        this.write(this.hint, this.texts.exotelLost);
        this.plan(Math.min(2 ** this.failures, LONGEST_PAUSE));
      }
    }
  }

  /* A page may swap any part of itself at any time. */
  const find = () => {
    panels.forEach((panel, element) => {
      if (!element.isConnected) {
        panel.end();
        panels.delete(element);
      }
    });
    const found = [...document.querySelectorAll("[data-exotel-panel]")].filter((element) => !panels.has(element));
    found.forEach((element) => panels.set(element, new Panel(element)));
    if (found.length) {
      document.dispatchEvent(new CustomEvent("exotel:panel"));
    }
  };
  const all = (action) => panels.forEach(action);
  /* One panel shows what came of a press: that which shows a call already, else the first. */
  const one = () => [...panels.values()].find((panel) => !panel.isEmpty()) ?? panels.values().next().value;

  find();
  new MutationObserver(find).observe(document, { childList: true, subtree: true });
  document.addEventListener("visibilitychange", () => {
    all((panel) => panel.plan(0));
    one()?.wake();
  });
  window.addEventListener("focus", () => one()?.wake());
  window.addEventListener("storage", ({ key }) => key === "exotel-call" && one()?.wake());
  window.addEventListener("resize", () => all((panel) => {
    panel.element.style.minHeight = "";
  }));
  window.addEventListener("online", () => all((panel) => panel.plan(0)));
  document.addEventListener("exotel:press", (event) => one()?.wait(event.detail));
  document.addEventListener("exotel:answer", (event) => one()?.take(event.detail));
  setInterval(() => all((panel) => panel.tick()), 1000);
})();
