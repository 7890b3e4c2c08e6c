/* Shows why a recording does not play, and a button to try again. Without this script, the link beside it shows why. */
"use strict";
(() => {
  if (window.exotelRecordings) {
    return; // pages that swap their body run their scripts again
  }
  window.exotelRecordings = true;
  const SPEEDS = [1, 1.25, 1.5, 2];

  const reasonFor = async (box, address) => {
    try {
      const headers = { Range: "bytes=0-0", "Accept-Language": box.lang };
      const answer = await fetch(address, { credentials: "same-origin", headers });
      const plain = (answer.headers.get("Content-Type") || "").startsWith("text/plain");
      if (!answer.ok && plain) {
        return (await answer.text()).trim();
      }
      await answer.body?.cancel();
      return answer.redirected ? box.dataset.login : box.dataset.failed;
    } catch {
      return box.dataset.failed;
    }
  };

  /* Not every browser's own player can play faster. Without a name, the field is in nobody's form. */
  const speedOf = (audio, label) => {
    const field = document.createElement("select");
    field.setAttribute("aria-label", label);
    SPEEDS.forEach((speed) => field.add(new Option(`${speed}\u00d7`, speed, speed === 1, speed === 1)));
    field.addEventListener("change", () => {
      audio.defaultPlaybackRate = Number(field.value);
      audio.playbackRate = Number(field.value);
    });
    return field;
  };

  const prepare = (box) => {
    if (box.dataset.exotelReady !== undefined) {
      return;
    }
    box.dataset.exotelReady = "";
    const audio = box.querySelector("audio");
    const message = document.createElement("p");
    const text = document.createElement("span");
    const again = document.createElement("button");
    message.hidden = true;
    text.setAttribute("role", "status");
    again.type = "button";
    again.className = "button";
    again.textContent = box.dataset.retry;
    message.append(text, " ", again);
    audio.after(speedOf(audio, box.dataset.speed));
    box.append(message);

    const play = () => audio.play().catch(() => {}); // the event "error" shows why
    audio.addEventListener("error", async () => {
      message.hidden = false;
      text.textContent = await reasonFor(box, audio.currentSrc || audio.src);
    });
    audio.addEventListener("playing", () => { message.hidden = true; });
    again.addEventListener("click", () => {
      text.textContent = "";
      audio.load();
      play();
    });
    // One press opens the recording and plays it.
    box.querySelector("summary").addEventListener("click", () => (box.open ? audio.pause() : play()));
  };

  const find = () => document.querySelectorAll(".exotel-recording").forEach(prepare);

  const ready = () => {
    find();
    new MutationObserver(find).observe(document, { childList: true, subtree: true });
  };
  if (document.readyState === "complete") {
    ready();
  } else {
    window.addEventListener("load", ready);
  }
})();
