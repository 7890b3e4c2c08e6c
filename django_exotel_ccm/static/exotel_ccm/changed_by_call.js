/* While a form is open, shows what a call changed: fields that the user has not touched take the new value, and a field
   that both changed asks. What this script cannot change itself is left to the server, which compares again at Save. */
"use strict";
(() => {
  // Milliseconds after a step of the call. Its receivers may run in a worker, so its end is looked at more than once.
  const CHECKS = [1000];
  const CHECKS_AT_THE_END = [500, 3000, 10000];
  const PATIENCE = 15000; // milliseconds

  // A host's page may draw a field outside of its form, and our input beside it.
  const hiddenOf = (page) => [...page.getElementsByName("exotel:shown")].find((input) => input.form);
  const hidden = hiddenOf(document);
  if (!hidden) {
    return;
  }
  const form = hidden.form;
  const texts = hidden.dataset;
  const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_all, name) => values[name]);

  /* Inputs by the name of their field. A field of several inputs numbers them: due_0, due_1. */
  const controlsOf = (root) => {
    const [found, parts] = [new Map(), new Map()];
    const add = (map, name, control) => map.set(name, [...(map.get(name) || []), control]);
    const holdsValue = (control) => control.name && control.type !== "file" && control.matches("input, select, textarea");
    [...root.elements].filter(holdsValue).forEach((control) => {
      add(found, control.name, control);
      add(parts, control.name.replace(/_\d+$/, ""), control);
    });
    return new Map([...parts, ...found]);
  };

  const isTick = (control) => control.type === "checkbox" || control.type === "radio";
  const isList = (control) => control.tagName === "SELECT";
  /* Of two lists beside each other the right one holds what is chosen. */
  const isPair = (control) => isList(control) && control.id.endsWith("_to")
    && document.getElementById(`${control.id.slice(0, -3)}_from`) !== null;
  const chosen = (control) => isPair(control) ? [...control.options] : [...control.selectedOptions];
  const lines = (text) => text.replace(/\r\n/g, "\n");

  const read = (controls) => JSON.stringify(controls.map((control) => {
    if (isTick(control)) {
      return [control.value, control.checked];
    }
    return isList(control) ? chosen(control).map((option) => option.value).sort() : lines(control.value);
  }));

  /* What the page showed when it came, whatever the browser has restored since. */
  const readDefault = (controls) => JSON.stringify(controls.map((control) => {
    if (isTick(control)) {
      return [control.value, control.defaultChecked];
    }
    if (!isList(control)) {
      return lines(control.defaultValue);
    }
    const options = [...control.options].filter((option) => option.defaultSelected);
    const first = control.multiple || options.length ? [] : [...control.options].slice(0, 1);
    return [...options, ...first].map((option) => option.value).sort();
  }));

  /* Editors and pickers that stand in front of an input keep its value elsewhere, so only what is seen is changed. */
  const isPlain = (control) => control.type !== "hidden" && !isPair(control) && !control.disabled
    && (control.getClientRects().length > 0 || control.classList.contains("select2-hidden-accessible"));

  const labelOf = (control) => control.closest("label")?.textContent.trim() || control.labels?.[0]?.textContent.trim();

  const describe = (controls) => {
    const [first] = controls;
    if (isTick(first) && controls.length === 1 && first.type === "checkbox") {
      return first.checked ? texts.exotelYes : texts.exotelNo;
    }
    const parts = controls.flatMap((control) => {
      if (isTick(control)) {
        return control.checked ? [labelOf(control) || control.value] : [];
      }
      return isList(control) ? chosen(control).map((option) => option.text) : [control.value];
    });
    return parts.filter((part) => part.trim()).join(isList(first) ? ", " : " ").slice(0, 200) || texts.exotelNothing;
  };

  /* Beside the key of another row the admin writes its name. */
  const nameOf = (control) => control.parentElement.querySelector(":scope > .vForeignKeyRawIdAdminField ~ strong");

  const write = (controls, fresh) => controls.forEach((control, index) => {
    const from = fresh[index];
    if (isTick(control)) {
      control.checked = from.checked;
    } else if (isList(control)) {
      // A picker that searches has only the options that were chosen.
      [...from.selectedOptions].forEach((option) => {
        if (![...control.options].some((one) => one.value === option.value)) {
          control.add(new Option(option.text, option.value));
        }
      });
      const values = [...from.selectedOptions].map((option) => option.value);
      [...control.options].forEach((option) => { option.selected = values.includes(option.value); });
    } else {
      control.value = from.value;
      nameOf(control)?.replaceWith(...[nameOf(from)].filter(Boolean));
    }
    control.dispatchEvent(new Event("input", { bubbles: true }));
    control.dispatchEvent(new Event("change", { bubbles: true }));
  });

  const base = new Map([...controlsOf(form)].map(([name, controls]) => [name, readDefault(controls)]));
  const notes = new Map(); // what stands beside a field, and about which value

  const news = document.createElement("p");
  news.setAttribute("role", "status");
  news.className = "exotel-news";
  form.append(news);

  const noteBeside = (name, controls, digest, text) => {
    notes.get(name)?.element.remove();
    const element = document.createElement("div");
    element.className = "exotel-changed";
    element.append(Object.assign(document.createElement("span"), { textContent: text }));
    const [control] = controls;
    const place = control.closest("td") || control.closest(".flex-container")?.parentElement
      || control.closest(".related-widget-wrapper")?.parentElement || control.parentElement;
    place.append(element);
    notes.set(name, { element, digest });
    return element;
  };

  /* From now on the server takes this value for the one that the page showed. */
  const settle = (name, controls, digest, shown) => {
    const value = JSON.parse(hidden.value);
    value.digests[name] = digest;
    hidden.value = JSON.stringify(value);
    base.set(name, shown);
  };

  /* What a field shows is stored: it is no edit any more. */
  const settleAsStored = (name, controls, digest) => {
    settle(name, controls, digest, read(controls));
    document.dispatchEvent(new CustomEvent("exotel:stored", { detail: { form, names: controls.map((control) => control.name) } }));
  };

  const take = (name, controls, fresh, digest) => {
    write(controls, fresh);
    settleAsStored(name, controls, digest);
    noteBeside(name, controls, digest, texts.exotelChanged);
  };

  const ask = (name, controls, fresh, digest) => {
    const text = fill(texts.exotelBoth, { theirs: describe(fresh), yours: describe(controls) });
    const element = noteBeside(name, controls, digest, text);
    const offer = (label, work) => {
      const button = Object.assign(document.createElement("button"), { type: "button", textContent: label });
      button.className = "exotel-answer";
      button.addEventListener("click", () => {
        work();
        controls[0].focus();
      });
      element.append(" ", button);
    };
    offer(texts.exotelKeep, () => {
      settle(name, controls, digest, read(fresh));
      element.remove();
      notes.delete(name);
    });
    if (controls.every(isPlain)) {
      offer(texts.exotelTake, () => take(name, controls, fresh, digest));
    }
  };

  /* Shows what became of one field, and returns whether there was something new to show. */
  const follow = (name, controls, fresh, digest, isSuggested) => {
    const isSame = controls.every((control, index) => control.name === fresh[index]?.name) && controls.length === fresh.length;
    if (!isSame || notes.get(name)?.digest === digest) {
      return false;
    }
    if (read(controls) === read(fresh)) {
      settleAsStored(name, controls, digest);
      return false;
    }
    // A form that came back with errors holds edits as if they had been shown.
    const isTouched = isSuggested || "exotelCameBack" in texts || read(controls) !== base.get(name);
    const inUse = controls.find((control) => control === document.activeElement);
    if (isTouched) {
      ask(name, controls, fresh, digest);
    } else if (inUse) {
      // Nothing changes under the cursor; whoever leaves the field sees it.
      inUse.addEventListener("blur", check, { once: true });
      return false;
    } else if (controls.every(isPlain)) {
      take(name, controls, fresh, digest);
    } else {
      noteBeside(name, controls, digest, fill(texts.exotelLater, { theirs: describe(fresh) }));
    }
    return true;
  };

  const rowOf = (name) => /^(.+-\d+-)/.exec(name)?.[1];

  const compare = (freshHidden) => {
    const shown = JSON.parse(hidden.value).digests;
    const stored = JSON.parse(freshHidden.value).digests;
    const [controls, fresh] = [controlsOf(form), controlsOf(freshHidden.form)];
    const isHidden = (name) => controls.get(name).every((control) => control.type === "hidden");
    const rows = Object.keys(stored).filter((name) => name.endsWith(":row") && shown[name] !== stored[name]);
    // "shown.stored": a page may show what is not stored, and another at each load. That is left alone.
    const isChanged = (name) => {
      const [[, before], [now, after]] = [shown[name].split("."), stored[name].split(".")];
      if (after) {
        return now && before !== after;
      }
      return shown[name] !== stored[name] && (isHidden(name) || rows.some((row) => name.startsWith(row.slice(0, -4))));
    };
    const changed = Object.keys(stored).filter((name) => name in shown && controls.has(name) && fresh.has(name)
      && isChanged(name));
    // What a question offers may be gone: the call has changed the field back to what the page showed.
    const storedOf = (digest) => digest.split(".")[1];
    [...notes].filter(([name, { digest }]) => name in shown && name in stored && !changed.includes(name)
      && storedOf(digest) !== storedOf(stored[name])).forEach(([name, { element }]) => {
      element.remove();
      notes.delete(name);
    });
    // A row whose key is another one stands where a row was deleted or added.
    const moved = new Set(changed.filter(isHidden).map(rowOf));
    const seen = changed.filter((name) => !isHidden(name) && !(rowOf(name) && moved.has(rowOf(name))))
      .filter((name) => follow(name, controls.get(name), fresh.get(name), stored[name],
        shown[name].startsWith(".")));
    if (seen.length) {
      const labels = seen.map((name) => (labelOf(controls.get(name)[0]) || "").replace(/:$/, "")).filter(Boolean);
      news.textContent = [texts.exotelChanged, labels.join(", ")].filter(Boolean).join(": ");
    }
  };

  let isChecking = false;
  let isDue = false;
  const check = async () => {
    if (isChecking || document.hidden) {
      isDue = true; // at once when the page is looked at again, or the answer is here
      return;
    }
    isChecking = true;
    isDue = false;
    try {
      const response = await fetch(location.href, {
        headers: { Accept: "text/html", "X-Exotel-Check": "1" }, cache: "no-store", credentials: "same-origin", redirect: "manual",
        signal: AbortSignal.timeout(PATIENCE),
      });
      const page = new DOMParser().parseFromString(response.ok ? await response.text() : "", "text/html");
      const found = hiddenOf(page);
      if (found) {
        compare(found);
      }
    } catch {
      // No connection: the server compares at Save.
    }
    isChecking = false;
    if (isDue && !document.hidden) {
      check();
    }
  };

  document.addEventListener("exotel:step", (event) => {
    (event.detail.is_over ? CHECKS_AT_THE_END : CHECKS).forEach((delay) => setTimeout(check, delay));
  });
  document.addEventListener("visibilitychange", () => {
    if (isDue) {
      check();
    }
  });
})();
