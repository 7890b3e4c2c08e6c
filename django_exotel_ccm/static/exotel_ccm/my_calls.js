/* Shows the call-backs and the calls of today anew when a call is over or a note was saved: whom the call has reached
   is not to be called again. Without this script they are as the page was loaded. */
"use strict";
(() => {
  if (window.exotelMyCalls) {
    return; // pages that swap their body run their scripts again
  }
  window.exotelMyCalls = true;
  let question = null;

  const isOpen = (row) => row.querySelector("details[open]") !== null;

  /* A row that is in use stays as it is. One that is gone stays only for what is typed in it, and calls nobody. */
  const removeOld = (list, fresh) => [...list.children].forEach((row) => {
    const isGone = !fresh.has(row.id);
    if (isGone && isOpen(row)) {
      row.querySelector(".exotel-call")?.remove();
    } else if (isGone || !(isOpen(row) || row.contains(document.activeElement))) {
      row.remove();
    }
  });

  const listOf = (section) => section.querySelector(":scope > ol");

  const renewRows = (section, fresh) => {
    const rows = new Map([...listOf(fresh)?.children ?? []].map((row) => [row.id, row]));
    if (!listOf(section)) {
      section.append(document.createElement("ol"));
    }
    const list = listOf(section);
    removeOld(list, rows);
    let place = list.firstElementChild;
    rows.forEach((row, id) => {
      const old = [...list.children].find((one) => one.id === id);
      if (old) {
        place = old.nextElementSibling;
      } else {
        list.insertBefore(row, place);
      }
    });
    if (!list.children.length) {
      list.remove();
    }
  };

  const renew = (section, fresh) => {
    const hadFocus = section.contains(document.activeElement);
    renewRows(section, fresh);
    section.querySelectorAll(":scope > p").forEach((words) => words.remove());
    section.append(...fresh.querySelectorAll(":scope > p"));
    if (hadFocus && !section.contains(document.activeElement)) {
      const heading = section.querySelector("h2");
      heading.tabIndex = -1;
      heading.focus({ preventScroll: true });
    }
  };

  const find = (page) => [...page.querySelectorAll("[data-exotel-renewed]")];

  const ask = async () => {
    question?.abort(); // an older answer would overwrite a newer one
    const own = question = new AbortController();
    try {
      const response = await fetch(location.href, {
        headers: { Accept: "text/html", "Accept-Language": find(document)[0].lang, "X-Exotel-Check": "1" },
        cache: "no-store", credentials: "same-origin", redirect: "manual", signal: own.signal,
      });
      const page = new DOMParser().parseFromString(response.ok ? await response.text() : "", "text/html");
      if (!own.signal.aborted) {
        const named = (section) => section.getAttribute("aria-labelledby");
        const fresh = new Map(find(page).map((section) => [named(section), section]));
        find(document).filter((section) => fresh.has(named(section))).forEach(
          (section) => renew(section, fresh.get(named(section))),
        );
      }
    } catch {
      // No connection, or a newer question: the next call or note shows the lists.
    }
  };

  const askIfShown = () => find(document).length && ask();
  document.addEventListener("exotel:step", ({ detail }) => detail.is_over && askIfShown());
  document.addEventListener("exotel:note", askIfShown);
})();
