/* Follows a call: asks where it stands while the page is looked at, and shows it. Without this script the panel shows
   what was known when the page was loaded. */
"use strict";
(() => {
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
      this.headline = element.querySelector(".exotel-headline");
      this.hint = element.querySelector(".exotel-hint");
      this.clock = element.querySelector(".exotel-clock");
      this.failures = 0;
      this.etag = "";
      element.querySelector(".exotel-reload")?.remove();
      this.show(JSON.parse(element.querySelector("script[type='application/json']").textContent));
      document.addEventListener("visibilitychange", () => this.plan(0));
      window.addEventListener("online", () => this.plan(0));
      setInterval(() => this.tick(), 1000);
    }

    show(status) {
      const isNew = !this.status || status.step !== this.status.step;
      this.status = status;
      this.element.dataset.exotelStep = status.step;
      this.element.dataset.exotelOutcome = status.outcome;
      this.element.toggleAttribute("data-exotel-talked", Boolean(status.talk_time));
      // Written only when it changes: a screen reader says each change once.
      this.write(this.headline, status.headline);
      this.write(this.hint, status.hint);
      if (isNew) {
        this.since = Date.now() - 1000 * status.seconds;
      }
      this.tick();
      this.plan(status.poll_after);
    }

    write(place, text) {
      if (place.textContent !== text) {
        place.textContent = text;
      }
    }

    tick() {
      const runs = !this.isStopped && !this.status.is_over && this.status.step !== "unconfirmed";
      this.clock.textContent = runs ? clock(Math.max(0, Math.floor((Date.now() - this.since) / 1000))) : "";
    }

    /* A page that nobody looks at asks nothing, and asks at once when it is looked at again. */
    plan(seconds) {
      clearTimeout(this.timer);
      // An answer that is still on its way would overwrite a newer one.
      this.question?.abort();
      this.question = null;
      if (!this.isStopped && !this.status.is_over && seconds !== null && !document.hidden) {
        this.timer = setTimeout(() => this.ask(), 1000 * seconds);
      }
    }

    stop(hint) {
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
        response = await fetch(this.element.dataset.exotelPanel, {
          headers: { Accept: "application/json", ...(this.etag && { "If-None-Match": this.etag }) },
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
        this.stop(this.element.dataset.exotelLoggedOut);
      } else if (response && response.status < 500 && response.status !== 429) {
        this.stop(this.element.dataset.exotelGone);
      } else {
        this.failures += 1;
        this.write(this.hint, this.element.dataset.exotelLost);
        this.plan(Math.min(2 ** this.failures, LONGEST_PAUSE));
      }
    }
  }

  document.querySelectorAll("[data-exotel-panel]").forEach((element) => new Panel(element));
})();
