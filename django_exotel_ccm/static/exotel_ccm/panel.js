/* Follows a call: asks where it stands while the page is looked at, and shows it. Without this script the panel shows
   what was known when the page was loaded. */
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

  class Panel {
    constructor(element) {
      this.element = element;
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
      } else {
        this.tell(answer.level === "error" ? "refused" : "unconfirmed", text, "");
      }
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

    async ask() {
      const question = new AbortController();
      const timer = setTimeout(() => question.abort(), 1000 * PATIENCE);
      let response = null;
      let status = null;
      this.question = question;
      try {
        response = await fetch(this.url, {
          headers: {
            Accept: "application/json", "Accept-Language": this.element.lang,
            ...(this.etag && { "If-None-Match": this.etag }),
          },
          cache: "no-store", credentials: "same-origin", redirect: "manual", signal: question.signal,
        });
        status = response.status === 200 ? await response.json() : null;
      } catch {
        response = null; // no connection, no answer in time, or no JSON
      }
      clearTimeout(timer);
      if (this.question !== question) {
        return;
      }
      this.question = null;
      if (status) {
        this.failures = 0;
        this.etag = response.headers.get("ETag") || "";
        this.show(status);
      } else {
        this.handle(response);
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
  document.addEventListener("visibilitychange", () => all((panel) => panel.plan(0)));
  window.addEventListener("resize", () => all((panel) => {
    panel.element.style.minHeight = "";
  }));
  window.addEventListener("online", () => all((panel) => panel.plan(0)));
  document.addEventListener("exotel:press", (event) => one()?.wait(event.detail));
  document.addEventListener("exotel:answer", (event) => one()?.take(event.detail));
  setInterval(() => all((panel) => panel.tick()), 1000);
})();
