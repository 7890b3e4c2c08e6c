/* Shows why a recording does not play, and a button to try again. Without this script, the link beside it shows why. */
"use strict";
(() => {
  const reasonFor = async (box, address) => {
    try {
      const answer = await fetch(address, { credentials: "same-origin", headers: { Range: "bytes=0-0" } });
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

  const prepare = (box) => {
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
    box.append(message);

    audio.addEventListener("error", async () => {
      message.hidden = false;
      text.textContent = await reasonFor(box, audio.currentSrc || audio.src);
    });
    audio.addEventListener("playing", () => { message.hidden = true; });
    again.addEventListener("click", () => {
      text.textContent = "";
      audio.load();
      audio.play().catch(() => {}); // the event "error" shows why
    });
  };

  window.addEventListener("load", () => document.querySelectorAll(".exotel-recording").forEach(prepare));
})();
