/* Says why a recording does not play, and offers to try again. Without this script the link beside it says so. */
"use strict";
(() => {
  const why = async (box, address) => {
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
    const said = document.createElement("p");
    const text = document.createElement("span");
    const again = document.createElement("button");
    said.hidden = true;
    text.setAttribute("role", "status");
    again.type = "button";
    again.className = "button";
    again.textContent = box.dataset.retry;
    said.append(text, " ", again);
    box.append(said);

    audio.addEventListener("error", async () => {
      said.hidden = false;
      text.textContent = await why(box, audio.currentSrc || audio.src);
    });
    audio.addEventListener("playing", () => { said.hidden = true; });
    again.addEventListener("click", () => {
      text.textContent = "";
      audio.load();
      audio.play().catch(() => {}); // the event "error" says why
    });
  };

  window.addEventListener("load", () => document.querySelectorAll(".exotel-recording").forEach(prepare));
})();
