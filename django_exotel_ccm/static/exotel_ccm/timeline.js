/* Shows a ticket's calls anew when a call has come a step further or a note was saved. A row that is in use (it has the focus, or its
   recording is open) stays where it is, and so plays on. Without this script they are as the page was loaded. */
"use strict";
(() => {
  if (window.exotelTimelines) {
    return; // pages that swap their body run their scripts again
  }
  const questions = window.exotelTimelines = new WeakMap(); // by their section

  const isUsed = (row) => row.contains(document.activeElement) || row.querySelector(".exotel-recording[open]") !== null;

  const rowsOf = (list) => new Map([...list.children].map((row) => [row.dataset.exotelCall, row]));

  /* A row in use takes the words of the new one, unless the focus is on them. Its call may be over now. */
  const update = (row, fresh) => {
    if (!row.querySelector(".exotel-again")) {
      row.append(...fresh.querySelectorAll(".exotel-again"));
    }
    const [old, words] = [row, fresh].map((one) => one.querySelector(".exotel-outcome"));
    if (!old.contains(document.activeElement)) {
      old.replaceWith(words);
      row.className = fresh.className;
    }
  };

  const renewList = (list, fresh, used) => {
    [...list.children].filter((row) => !used.has(row.dataset.exotelCall)).forEach((row) => row.remove());
    let place = list.firstElementChild;
    rowsOf(fresh).forEach((row, call) => {
      const old = used.get(call);
      if (!old) {
        list.insertBefore(row, place);
      } else {
        update(old, row);
        place = old.parentElement === list ? old.nextElementSibling : place;
      }
    });
  };

  const renew = (section, fresh) => {
    const find = (selector) => [section, fresh].map((one) => one.querySelector(selector));
    const used = new Map([...section.querySelectorAll("[data-exotel-call]")].filter(isUsed).map(
      (row) => [row.dataset.exotelCall, row],
    ));
    [".exotel-newest", ".exotel-older ol"].forEach((selector) => renewList(...find(selector), used));
    [".exotel-no-calls", ".exotel-older", ".exotel-all-calls"].forEach((selector) => {
      const [old, shown] = find(selector);
      old.hidden = shown.hidden;
    });
    const [summary, words] = find(".exotel-older > summary");
    summary.textContent = words.textContent;
    const [link, other] = find(".exotel-all-calls a");
    Object.assign(link, { href: other.href, textContent: other.textContent });
  };

  const ask = async (section) => {
    questions.get(section)?.abort(); // an older answer would overwrite a newer one
    const question = new AbortController();
    questions.set(section, question);
    try {
      const response = await fetch(section.dataset.exotelTimeline, {
        headers: { "Accept-Language": section.lang },
        cache: "no-store", credentials: "same-origin", redirect: "manual", signal: question.signal,
      });
      const text = response.ok ? await response.text() : "";
      const fresh = new DOMParser().parseFromString(text, "text/html").querySelector("[data-exotel-timeline]");
      if (fresh && !question.signal.aborted) {
        renew(section, fresh);
      }
    } catch {
      // No connection, or a newer question: the next step shows the calls.
    }
  };

  ["exotel:step", "exotel:note"].forEach((name) => document.addEventListener(
    name, () => document.querySelectorAll("[data-exotel-timeline]").forEach(ask),
  ));
})();
