/* Keeps the live board fresh while somebody looks at it, and lets its clocks run. Without this script the page shows
   what was known when it was loaded. */
"use strict";
(() => {
  const page = document.querySelector("[data-exotel-board]");
  if (!page || page.hasAttribute("data-exotel-ready")) {
    return; // pages that swap their body run their scripts again
  }
  const LONGEST_PAUSE = 30; // seconds between two questions while there is no connection
  const PATIENCE = 10; // seconds for an answer
  const texts = page.dataset;
  const board = page.querySelector(".exotel-board");
  const said = page.querySelector(".exotel-said");
  const ahead = Date.now() / 1000 - Number(texts.exotelNow); // of the server's clock
  let [etag, failures, timer, question, isStopped] = ["", 0, 0, null, false];

  const clock = (seconds) => {
    const [hours, minutes, rest] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
    const tail = `${hours ? String(minutes).padStart(2, "0") : minutes}:${String(rest).padStart(2, "0")}`;
    return hours ? `${hours}:${tail}` : tail;
  };

  const tick = () => board.querySelectorAll("[data-exotel-since]").forEach((place) => {
    const seconds = Math.floor(Date.now() / 1000 - ahead - Number(place.dataset.exotelSince));
    place.textContent = clock(Math.max(0, seconds));
  });

  const say = (text) => {
    if (said.textContent !== text) { // a screen reader says each change once
      said.textContent = text;
    }
    page.toggleAttribute("data-exotel-old", text !== "");
  };

  const show = (html) => {
    const focused = board.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
    const fresh = new DOMParser().parseFromString(html, "text/html").body;
    board.replaceChildren(...fresh.childNodes);
    tick();
    if (focused) {
      [...board.querySelectorAll("a")].find((link) => link.getAttribute("href") === focused)?.focus();
    }
  };

  /* A page that nobody looks at asks nothing, and asks at once when it is looked at again. */
  const plan = (seconds) => {
    clearTimeout(timer);
    question?.abort(); // an older answer would overwrite a newer one
    question = null;
    if (!isStopped && !document.hidden) {
      timer = setTimeout(ask, 1000 * seconds);
    }
  };

  const stop = (text) => {
    isStopped = true;
    say(text);
  };

  const take = (response, html) => {
    const isBoard = html.includes("exotel-tiles"); // and not the page of a proxy, or another login page
    if (response && (response.status === 304 || (response.status === 200 && isBoard))) {
      failures = 0;
      say("");
      if (response.status === 200) {
        etag = response.headers.get("ETag") || "";
        show(html);
      }
    } else if (response && (response.status === 401 || response.type === "opaqueredirect")) {
      stop(texts.exotelLoggedOut);
    } else if (response && response.status >= 400 && response.status < 500 && response.status !== 429) {
      stop(texts.exotelGone);
    } else {
      failures += 1;
      say(texts.exotelLost);
    }
    plan(failures ? Math.min(2 ** failures, LONGEST_PAUSE) : Number(texts.exotelPoll));
  };

  async function ask() {
    const own = question = new AbortController();
    const patience = setTimeout(() => own.abort(), 1000 * PATIENCE);
    let [response, html] = [null, ""];
    try {
      response = await fetch(texts.exotelBoard, {
        headers: { "Accept-Language": page.lang, ...(etag && { "If-None-Match": etag }) },
        cache: "no-store", credentials: "same-origin", redirect: "manual", signal: own.signal,
      });
      html = response.status === 200 ? await response.text() : "";
    } catch {
      response = null; // no connection, or no answer in time
    }
    clearTimeout(patience);
    if (question === own) {
      question = null;
      take(response, html);
    }
  }

  page.setAttribute("data-exotel-ready", "");
  page.querySelector(".exotel-reload").remove();
  tick();
  setInterval(tick, 1000);
  plan(Number(texts.exotelPoll));
  /* Somebody looks at the board again: they may have logged in meanwhile, in another tab. */
  const wake = () => {
    isStopped = false;
    plan(0);
  };
  document.addEventListener("visibilitychange", wake);
  window.addEventListener("focus", () => isStopped && wake());
  window.addEventListener("online", () => plan(0));
})();
